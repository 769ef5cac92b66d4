/** The functions of expressions. */
import { type Code, isSame, type Machine, NUMBER, TYPE, typeName, type Value } from "./machine.ts";
import { bigOf } from "./operators.ts";

export interface FunctionDefinition {
  /** How many arguments it takes. */
  readonly least: number;
  readonly most: number;
  /** The types that each argument may have; those beyond the last entry are as the last one. */
  readonly args: readonly number[];
  /** The types of the result by those of the arguments. */
  result(args: readonly number[]): number;
  code(args: readonly Code[]): Code;
}

const ANY = ~0;
const isNumber = (type: number) => (type & (NUMBER | TYPE.bigInt)) !== 0;

/** Of floats, one or two; ints are converted. */
function ofFloats(
  count: 1 | 2,
  compute: (a: number, b: number) => number,
  finish: "float" | "bool" = "float",
): FunctionDefinition {
  const result = finish === "float" ? TYPE.float : TYPE.bool;
  const done = (machine: Machine, value: number) =>
    finish === "float" ? machine.float(value) : machine.bool(value === 1);
  return {
    least: count,
    most: count,
    args: [NUMBER],
    result: () => result,
    code: ([first, second]) => (machine) => {
      const a = first(machine);
      if (!isNumber(machine.type)) return machine.refuse(machine.type, "a number");
      if (count === 1) return done(machine, compute(a, 0));
      const b = second(machine);
      if (!isNumber(machine.type)) return machine.refuse(machine.type, "a number");
      return done(machine, compute(a, b));
    },
  };
}

/** Whether a float is so. */
const test = (is: (value: number) => boolean) => ofFloats(1, (value) => is(value) ? 1 : 0, "bool");

function ofInts(count: 1 | 2, compute: (a: bigint, b: bigint) => bigint | string): FunctionDefinition {
  return {
    least: count,
    most: count,
    args: [TYPE.int],
    result: () => TYPE.int,
    code: ([first, second]) => (machine) => {
      const a = first(machine);
      if ((machine.type & (TYPE.int | TYPE.bigInt)) === 0) return machine.refuse(machine.type, "an int");
      const left = bigOf(machine, a);
      let right = 0n;
      if (count === 2) {
        const b = second(machine);
        if ((machine.type & (TYPE.int | TYPE.bigInt)) === 0) return machine.refuse(machine.type, "an int");
        right = bigOf(machine, b);
      }
      const result = compute(left, right);
      return typeof result === "string" ? machine.fail(result) : machine.bigInt(BigInt.asIntN(64, result));
    },
  };
}

const shift = (compute: (a: bigint, b: bigint) => bigint) =>
  ofInts(2, (a, b) => b < 0n || b > 63n ? "a shift is by 0 to 63 bits" : compute(a, b));

/** The least or the greatest; the winner keeps its type, of equal ones a float wins. */
function extreme(isBetter: (a: number, b: number) => boolean): FunctionDefinition {
  return {
    least: 2,
    most: Infinity,
    args: [NUMBER],
    result: (args) => args.reduce((all, type) => all | (type & NUMBER), 0),
    code: (args) => (machine) => {
      let best = NaN;
      let type = TYPE.float;
      let big = 0n;
      for (let i = 0; i < args.length; i++) {
        const value = args[i](machine);
        if (!isNumber(machine.type)) return machine.refuse(machine.type, "a number");
        const isTie = value === best && (machine.type === TYPE.float ||
          machine.type === TYPE.bigInt && type === TYPE.bigInt && isBetterBig(isBetter, machine.big, big));
        if (isTie || isBetter(value, best) || Number.isNaN(best) && !Number.isNaN(value)) {
          best = value;
          type = machine.type;
          big = machine.big;
        }
      }
      machine.type = type;
      machine.big = big;
      return best;
    },
  };
}

const isBetterBig = (isBetter: (a: number, b: number) => boolean, a: bigint, b: bigint) =>
  a !== b && isBetter(a < b ? 0 : 1, a < b ? 1 : 0);

/** The value is kept as it is. */
const choose: FunctionDefinition = {
  least: 3,
  most: 3,
  args: [TYPE.bool, ANY],
  result: ([, yes, no]) => yes | no,
  code: ([condition, yes, no]) => (machine) => {
    const holds = condition(machine);
    if (machine.type !== TYPE.bool) return machine.refuse(machine.type, "true or false");
    // Both are evaluated, and a problem in either one counts.
    if (holds === 1) {
      const number = yes(machine);
      if (machine.type === TYPE.none) return NaN;
      const { type, big, text, items } = machine;
      no(machine);
      if (machine.type === TYPE.none) return NaN;
      machine.type = type;
      machine.big = big;
      machine.text = text;
      machine.items = items;
      return number;
    }
    yes(machine);
    return machine.type === TYPE.none ? NaN : no(machine);
  },
};

const abs: FunctionDefinition = {
  least: 1,
  most: 1,
  args: [NUMBER],
  result: ([type]) => type & NUMBER,
  code: ([argument]) => (machine) => {
    const value = argument(machine);
    if (machine.type === TYPE.bigInt) return machine.bigInt(machine.big < 0n ? -machine.big : machine.big);
    return isNumber(machine.type) ? Math.abs(value) : machine.refuse(machine.type, "a number");
  },
};

/** Of values of any type that are kept: for functions that formulas hardly use. */
function ofValues(
  args: readonly number[],
  result: number,
  compute: (machine: Machine, values: readonly Value[]) => number,
  least = args.length,
): FunctionDefinition {
  return {
    least,
    most: args.length,
    args,
    result: () => result,
    code: (codes) => (machine) => {
      const values: Value[] = [];
      for (const [i, code] of codes.entries()) {
        values.push(machine.keep(code(machine)));
        const type = machine.type === TYPE.bigInt ? TYPE.int : machine.type;
        if ((args[i] & type) === 0 || type === TYPE.none) return machine.refuse(machine.type, "another type");
      }
      return compute(machine, values);
    },
  };
}

const ofText = (change: (text: string) => string) =>
  ofValues([TYPE.string], TYPE.string, (machine, [{ text }]) => machine.string(change(text)));

function textOf({ type, number, big, text, items }: Value): string {
  if (type === TYPE.string) return text;
  if (type === TYPE.bool) return String(number === 1);
  if (type === TYPE.bigInt) return String(big);
  return type === TYPE.tuple
    ? `(${items.map(textOf).join(", ")})`
    : type === TYPE.empty
    ? "()"
    : String(number);
}

const bytesOf = (text: string) => new TextEncoder().encode(text);

function substring(machine: Machine, [{ text }, from, to]: readonly Value[]): number {
  const bytes = bytesOf(text);
  const end = to?.number ?? bytes.length;
  if (!(from.number >= 0 && from.number <= end && end <= bytes.length)) {
    return machine.fail("a part of a text is beyond its ends");
  }
  return machine.string(new TextDecoder().decode(bytes.subarray(from.number, end)));
}

/** Half away from 0. */
const round = (value: number) => value < 0 ? -Math.round(-value) : Math.round(value);
const isNormal = (value: number) => Number.isFinite(value) && Math.abs(value) >= 2 ** -1022;

export const FUNCTIONS: ReadonlyMap<string, FunctionDefinition> = new Map(Object.entries({
  min: extreme((a, b) => a < b),
  max: extreme((a, b) => a > b),
  if: choose,
  floor: ofFloats(1, Math.floor),
  round: ofFloats(1, round),
  ceil: ofFloats(1, Math.ceil),
  len: ofValues(
    [TYPE.string | TYPE.tuple],
    TYPE.int,
    (machine, [{ type, text, items }]) =>
      machine.int(type === TYPE.string ? bytesOf(text).length : items.length),
  ),
  contains: ofValues(
    [TYPE.tuple, ANY],
    TYPE.bool,
    (machine, [{ items }, wanted]) => machine.bool(items.some((item) => isSame(item, wanted))),
  ),
  contains_any: ofValues(
    [TYPE.tuple, TYPE.tuple],
    TYPE.bool,
    (machine, [{ items }, wanted]) =>
      machine.bool(items.some((item) => wanted.items.some((other) => isSame(item, other)))),
  ),
  typeof: ofValues([ANY], TYPE.string, (machine, [{ type }]) => machine.string(typeName(type))),
  "math::abs": abs,
  "math::is_nan": test(Number.isNaN),
  "math::is_finite": test(Number.isFinite),
  "math::is_infinite": test((value) => Math.abs(value) === Infinity),
  "math::is_normal": test(isNormal),
  "math::log": ofFloats(2, (value, base) => {
    // Exact for the usual bases.
    if (base === 2) return Math.log2(value);
    return base === 10 ? Math.log10(value) : Math.log(value) / Math.log(base);
  }),
  "math::exp2": ofFloats(1, (value) => 2 ** value),
  "math::pow": ofFloats(2, (base, exponent) => base ** exponent),
  "math::ln": ofFloats(1, Math.log),
  ...Object.fromEntries(
    ([
      ...[
        "log2",
        "log10",
        "exp",
        "cos",
        "acos",
        "cosh",
        "acosh",
        "sin",
        "asin",
        "sinh",
        "asinh",
        "tan",
        "atan",
      ],
      ...["tanh", "atanh", "sqrt", "cbrt"],
    ] as const).map((name) => [`math::${name}`, ofFloats(1, Math[name as "exp"])]),
  ),
  "math::atan2": ofFloats(2, Math.atan2),
  "math::hypot": ofFloats(2, Math.hypot),
  "str::to_lowercase": ofText((text) => text.toLowerCase()),
  "str::to_uppercase": ofText((text) => text.toUpperCase()),
  "str::trim": ofText((text) => text.trim()),
  "str::from": ofValues([ANY], TYPE.string, (machine, [value]) => machine.string(textOf(value))),
  "str::substring": ofValues([TYPE.string, TYPE.int, TYPE.int], TYPE.string, substring, 2),
  bitand: ofInts(2, (a, b) => a & b),
  bitor: ofInts(2, (a, b) => a | b),
  bitxor: ofInts(2, (a, b) => a ^ b),
  bitnot: ofInts(1, (a) => ~a),
  shl: shift((a, b) => a << b),
  shr: shift((a, b) => a >> b),
}));
