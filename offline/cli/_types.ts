/** How the type of what `parseArgs` returns follows from its options. */

/** Names given as a union of literals; `undefined` where the option is not given. */
export type Names = string | undefined;
export type Switches = boolean | Names;
export type Defaults = Record<string, unknown> | undefined;
export type Aliases = Readonly<Record<string, string | readonly string[]>> | undefined;

type Named<T> = Extract<T, string>;
type False<Name, Negatable> = Name extends Negatable ? false : never;

type Options<B, S, C, N> =
  & { [K in Exclude<Named<S>, Named<C>>]?: string | False<K, N> }
  & { [K in Exclude<Named<B>, Named<C>>]: boolean }
  & { [K in Extract<Named<S>, Named<C>>]: string[] | False<K, N> }
  & { [K in Extract<Named<B>, Named<C>>]: boolean[] }
  & { [K in Exclude<Named<C>, Named<S> | Named<B>>]: unknown[] | False<K, N> };

type WithDefaults<T, D> = D extends undefined ? T
  :
    & Omit<T, keyof D>
    & { [K in keyof D]: K extends keyof T ? D[K] | NonNullable<T[K]> : unknown };

type AliasesOf<K, A> = K extends keyof A ? A[K] extends string ? A[K]
  : A[K] extends readonly (infer Alias extends string)[] ? Alias
  : never
  : never;

type WithAliases<T, A> = { [K in keyof T as K | AliasesOf<K, A>]: T[K] };

/** Whether any name is known; otherwise every option may be there, with any value. */
type IsTyped<B, S, C> = [Named<B> | Named<S> | Named<C>] extends [never] ? false : true;

export type Values<B, S, C, N, D, A> = IsTyped<B, S, C> extends true
  ? Record<string, unknown> & WithAliases<WithDefaults<Options<B, S, C, N>, D>, A>
  // deno-lint-ignore no-explicit-any
  : Record<string, any>;
