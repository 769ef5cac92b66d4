/** The tests of a copy, as its own module registers them. */
import { LAST } from "./report.ts";

type Run = (t: Deno.TestContext) => void | Promise<void>;

/**
 * Registers the tests of some modules, and behind them one that says that all of them ended.
 *
 * @param copy The module that calls, beside which it leaves the file `begun`.
 * @param filter As `deno test --filter` takes it.
 */
export async function register(copy: string, modules: readonly string[], filter = ""): Promise<void> {
  Deno.writeTextFileSync(new URL("begun", copy), "");
  const { test } = Deno;
  const isWanted = matcherOf(filter);
  const untilFailure = stopper();
  // Its arguments are a name, options and what is run, in this order, or some of them; what is run may be an option.
  const wrapped = (...args: unknown[]): void => {
    const given = args.map((arg) => {
      if (typeof arg === "function") return untilFailure(arg as Run);
      return isObject(arg) && "fn" in arg ? { ...arg, fn: untilFailure(arg.fn as Run) } : arg;
    });
    if (isWanted(nameOf(args))) test(...given as Parameters<typeof test>);
  };
  Object.assign(Deno, { test: Object.assign(wrapped, test) });
  for (const module of modules) await import(new URL(module, copy).href);
  test(LAST, () => {});
}

/** Makes tests that follow a failed one do nothing: that one says enough of a change, and others may wait for long. */
function stopper(): (run: Run) => Run {
  let hasFailed = false;
  return (run) => {
    const stopping: Run = async (t) => {
      if (hasFailed) return;
      try {
        await run(t);
      } catch (error) {
        hasFailed = true;
        throw error;
      }
    };
    return Object.defineProperty(stopping, "name", { value: run.name });
  };
}

function matcherOf(filter: string): (name: string) => boolean {
  const pattern = /^\/(.*)\/$/.exec(filter)?.[1];
  if (pattern === undefined) return (name) => name.includes(filter);
  const regex = new RegExp(pattern);
  return (name) => regex.test(name);
}

/** The name in the arguments of `Deno.test`. */
function nameOf(args: readonly unknown[]): string {
  const text = args.find((arg) => typeof arg === "string");
  const named = args.find((arg) => isObject(arg) && "name" in arg) ?? args.at(-1);
  return String(text ?? (named as { name: string }).name);
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null;
