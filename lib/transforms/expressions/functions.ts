/** The functions of expressions. */
import { OF_ONE_FLOAT, OF_TWO_FLOATS } from "./floats.ts";
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

/** Ints are converted. */
function ofFloat(compute: (machine: Machine) => void): FunctionDefinition {
  return {
    least: 1,
    most: 1,
    args: [NUMBER],
    result: () => TYPE.float,
    code: ([argument]) => (machine) => {
      argument(machine);
      if (!isNumber(machine.type)) return machine.refuse("a number");
      compute(machine);
      machine.type = TYPE.float;
    },
  };
}

function ofFloats(compute: (machine: Machine) => void): FunctionDefinition {
  return {
    least: 2,
    most: 2,
    args: [NUMBER],
    result: () => TYPE.float,
    code: ([first, second]) => (machine) => {
      first(machine);
      if (!isNumber(machine.type)) return machine.refuse("a number");
      const { number } = machine;
      second(machine);
      if (!isNumber(machine.type)) return machine.refuse("a number");
      machine.left = number;
      compute(machine);
      machine.type = TYPE.float;
    },
  };
}

/** Whether the number is so. */
function test(is: (machine: Machine) => boolean): FunctionDefinition {
  return {
    least: 1,
    most: 1,
    args: [NUMBER],
    result: () => TYPE.bool,
    code: ([argument]) => (machine) => {
      argument(machine);
      if (!isNumber(machine.type)) return machine.refuse("a number");
      machine.bool(is(machine));
    },
  };
}

function ofInts(count: 1 | 2, compute: (a: bigint, b: bigint) => bigint | string): FunctionDefinition {
  return {
    least: count,
    most: count,
    args: [TYPE.int],
    result: () => TYPE.int,
    code: ([first, second]) => (machine) => {
      first(machine);
      if ((machine.type & (TYPE.int | TYPE.bigInt)) === 0) return machine.refuse("an int");
      const left = bigOf(machine);
      let right = 0n;
      if (count === 2) {
        second(machine);
        if ((machine.type & (TYPE.int | TYPE.bigInt)) === 0) return machine.refuse("an int");
        right = bigOf(machine);
      }
      const result = compute(left, right);
      return typeof result === "string" ? machine.fail(result) : machine.bigInt(BigInt.asIntN(64, result));
    },
  };
}

const shift = (compute: (a: bigint, b: bigint) => bigint) =>
  ofInts(2, (a, b) => b < 0n || b > 63n ? "a shift is by 0 to 63 bits" : compute(a, b));

/** The least or the greatest; the winner keeps its type, of equal ones a float wins. */
function extreme(isLeast: boolean): FunctionDefinition {
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
        args[i](machine);
        if (!isNumber(machine.type)) return machine.refuse("a number");
        const { number } = machine;
        const isTie = number === best && (machine.type === TYPE.float ||
          machine.type === TYPE.bigInt && type === TYPE.bigInt &&
            (isLeast ? machine.big < big : machine.big > big));
        const isBetter = isLeast ? number < best : number > best;
        if (isTie || isBetter || Number.isNaN(best) && !Number.isNaN(number)) {
          best = number;
          type = machine.type;
          big = machine.big;
        }
      }
      machine.type = type;
      machine.number = best;
      machine.big = big;
    },
  };
}

/** The value is kept as it is. */
const choose: FunctionDefinition = {
  least: 3,
  most: 3,
  args: [TYPE.bool, ANY],
  result: ([, yes, no]) => yes | no,
  code: ([condition, yes, no]) => (machine) => {
    condition(machine);
    if (machine.type !== TYPE.bool) return machine.refuse("true or false");
    // Both are evaluated, and a problem in either one counts.
    if (machine.number === 0) {
      yes(machine);
      if (machine.type !== TYPE.none) no(machine);
      return;
    }
    yes(machine);
    const { type, number, big, text, items } = machine;
    if (type === TYPE.none) return;
    no(machine);
    if (machine.type === TYPE.none) return;
    machine.type = type;
    machine.number = number;
    machine.big = big;
    machine.text = text;
    machine.items = items;
  },
};

const abs: FunctionDefinition = {
  least: 1,
  most: 1,
  args: [NUMBER],
  result: ([type]) => type & NUMBER,
  code: ([argument]) => (machine) => {
    argument(machine);
    if (machine.type === TYPE.bigInt) return machine.bigInt(machine.big < 0n ? -machine.big : machine.big);
    if (!isNumber(machine.type)) return machine.refuse("a number");
    machine.number = Math.abs(machine.number);
  },
};

/** Of values of any type that are kept: for functions that formulas hardly use. */
function ofValues(
  args: readonly number[],
  result: number,
  compute: (machine: Machine, values: readonly Value[]) => void,
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
        code(machine);
        values.push(machine.keep());
        const type = machine.type === TYPE.bigInt ? TYPE.int : machine.type;
        if ((args[i] & type) === 0 || type === TYPE.none) return machine.refuse("another type");
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

function substring(machine: Machine, [{ text }, from, to]: readonly Value[]): void {
  const bytes = bytesOf(text);
  const end = to?.number ?? bytes.length;
  if (!(from.number >= 0 && from.number <= end && end <= bytes.length)) {
    return machine.fail("a part of a text is beyond its ends");
  }
  return machine.string(new TextDecoder().decode(bytes.subarray(from.number, end)));
}

const countOf = ({ type, text, items }: Value) => type === TYPE.string ? bytesOf(text).length : items.length;

function mapped<T, U>(values: Readonly<Record<string, T>>, change: (value: T) => U): Record<string, U> {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, change(value)]));
}

export const FUNCTIONS: ReadonlyMap<string, FunctionDefinition> = new Map(Object.entries({
  min: extreme(true),
  max: extreme(false),
  if: choose,
  len: ofValues([TYPE.string | TYPE.tuple], TYPE.int, (machine, [value]) => {
    machine.number = countOf(value);
    machine.int();
  }),
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
  "math::is_nan": test(({ number }) => Number.isNaN(number)),
  "math::is_finite": test(({ number }) => Number.isFinite(number)),
  "math::is_infinite": test(({ number }) => Math.abs(number) === Infinity),
  "math::is_normal": test(({ number }) => Number.isFinite(number) && Math.abs(number) >= 2 ** -1022),
  ...mapped(OF_ONE_FLOAT, ofFloat),
  ...mapped(OF_TWO_FLOATS, ofFloats),
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
