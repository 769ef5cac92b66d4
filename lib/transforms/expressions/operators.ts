/** What operators do with values. */
import { type Code, isSame, type Machine, NUMBER, TYPE } from "./machine.ts";
import type { BinaryOperator, UnaryOperator } from "./parser.ts";

interface Operator {
  /** The types of the operands, which must have one in common where {@linkcode sameType} is set. */
  readonly operands: number;
  readonly sameType?: boolean;
  /** The type of the result by the types that the operands may have. */
  result(left: number, right: number): number;
  code(left: Code, right: Code): Code;
}

interface Arithmetic {
  float(a: number, b: number): number;
  /** Of ints up to 2^53, as a number that is exact if it is at most 2^53. */
  int(a: number, b: number): number;
  big(a: bigint, b: bigint): bigint;
  /** A problem with ints. */
  problem?(b: number): string | undefined;
}

const byZero = (b: number) => b === 0 ? "an int is divided by 0" : undefined;

const ADD: Arithmetic = { float: (a, b) => a + b, int: (a, b) => a + b, big: (a, b) => a + b };
const SUBTRACT: Arithmetic = { float: (a, b) => a - b, int: (a, b) => a - b, big: (a, b) => a - b };
const MULTIPLY: Arithmetic = { float: (a, b) => a * b, int: (a, b) => a * b, big: (a, b) => a * b };
const DIVIDE: Arithmetic = {
  float: (a, b) => a / b,
  int: (a, b) => Math.trunc(a / b),
  big: (a, b) => a / b,
  problem: byZero,
};
const REMAINDER: Arithmetic = {
  float: (a, b) => a % b,
  int: (a, b) => a % b,
  big: (a, b) => a % b,
  problem: byZero,
};

function arithmetic(by: Arithmetic): Operator {
  return {
    operands: NUMBER,
    result: numeric,
    code: (left, right) => (machine) => {
      const a = left(machine);
      const leftType = machine.type;
      const leftBig = machine.big;
      if (leftType === TYPE.none) return NaN;
      const b = right(machine);
      return compute(machine, by, a, leftType, leftBig, b);
    },
  };
}

/** The right operand is what the machine computed last. */
function compute(
  machine: Machine,
  by: Arithmetic,
  a: number,
  leftType: number,
  leftBig: bigint,
  b: number,
): number {
  const types = leftType | machine.type;
  if (types === TYPE.int) {
    const problem = by.problem?.(b);
    if (problem !== undefined) return machine.fail(problem);
    const result = by.int(a, b);
    return Number.isSafeInteger(result) ? machine.int(result) : machine.bigInt(by.big(BigInt(a), BigInt(b)));
  }
  if ((types & ~(NUMBER | TYPE.bigInt)) !== 0) {
    return isNumber(leftType) ? machine.refuse(machine.type, "a number") : refuseLeft(machine, leftType);
  }
  if ((types & TYPE.float) !== 0) return machine.float(by.float(a, b));
  const problem = by.problem?.(b);
  if (problem !== undefined) return machine.fail(problem);
  return machine.bigInt(by.big(leftType === TYPE.bigInt ? leftBig : BigInt(a), bigOf(machine, b)));
}

function refuseLeft(machine: Machine, leftType: number): number {
  return machine.type === TYPE.none ? NaN : machine.refuse(leftType, "a number");
}

const isNumber = (type: number) => (type & (NUMBER | TYPE.bigInt)) !== 0;

/** The int that the machine computed last. */
export function bigOf(machine: Machine, number: number): bigint {
  return machine.type === TYPE.bigInt ? machine.big : BigInt(number);
}

/** The type of arithmetic: int where both are, float where one is. */
function numeric(left: number, right: number): number {
  const both = left & right & TYPE.int;
  return both | ((left | right) & TYPE.float);
}

/** `+` joins texts, too. */
const PLUS: Operator = {
  operands: NUMBER | TYPE.string,
  sameType: true,
  result: (left, right) => numeric(left, right) | (left & right & TYPE.string),
  code: (left, right) => (machine) => {
    const a = left(machine);
    const leftType = machine.type;
    if (leftType === TYPE.none) return NaN;
    const leftBig = machine.big;
    const leftText = machine.text;
    const b = right(machine);
    if (leftType === TYPE.string && machine.type === TYPE.string) {
      return machine.string(leftText + machine.text);
    }
    return compute(machine, ADD, a, leftType, leftBig, b);
  },
};

/** Always a float. */
const POWER: Operator = {
  operands: NUMBER,
  result: () => TYPE.float,
  code: (left, right) => (machine) => {
    const a = left(machine);
    if (!isNumber(machine.type)) return machine.refuse(machine.type, "a number");
    const b = right(machine);
    if (!isNumber(machine.type)) return machine.refuse(machine.type, "a number");
    return machine.float(a ** b);
  },
};

/** @param holds Whether it is true where the left operand is less (-1), equal (0) or more (1); never for NaN. */
function comparison(holds: (order: number) => boolean): Operator {
  return {
    operands: NUMBER | TYPE.string,
    sameType: true,
    result: () => TYPE.bool,
    code: (left, right) => (machine) => {
      const a = left(machine);
      const leftType = machine.type;
      if (leftType === TYPE.none) return NaN;
      const [leftBig, leftText] = [machine.big, machine.text];
      const b = right(machine);
      if (leftType === TYPE.string && machine.type === TYPE.string) {
        return machine.bool(holds(orderOf(leftText, machine.text)));
      }
      if (!isNumber(machine.type)) return machine.refuse(machine.type, "a number");
      if (!isNumber(leftType)) return machine.refuse(leftType, "a number");
      const isBig = ((leftType | machine.type) & (TYPE.bigInt | TYPE.float)) === TYPE.bigInt;
      if (!isBig) return machine.bool(holds(orderOf(a, b)));
      return machine.bool(holds(orderOf(leftType === TYPE.bigInt ? leftBig : BigInt(a), bigOf(machine, b))));
    },
  };
}

/** NaN where neither is less and they are not equal. */
function orderOf<T extends number | bigint | string>(a: T, b: T): number {
  return a < b ? -1 : a > b ? 1 : a === b ? 0 : NaN;
}

function equality(wanted: boolean): Operator {
  return {
    operands: ~0,
    result: () => TYPE.bool,
    code: (left, right) => (machine) => {
      const a = left(machine);
      const leftType = machine.type;
      if (leftType === TYPE.none) return NaN;
      if ((leftType & NUMBER) !== 0) {
        const b = right(machine);
        if (machine.type === TYPE.none) return NaN;
        return machine.bool((machine.type === leftType && a === b) === wanted);
      }
      const kept = machine.keep(a);
      const b = right(machine);
      if (machine.type === TYPE.none) return NaN;
      return machine.bool(isSame(kept, machine.keep(b)) === wanted);
    },
  };
}

/** Both operands are evaluated. */
function logic(of: (a: boolean, b: boolean) => boolean): Operator {
  return {
    operands: TYPE.bool,
    result: () => TYPE.bool,
    code: (left, right) => (machine) => {
      const a = left(machine);
      if (machine.type !== TYPE.bool) return machine.refuse(machine.type, "true or false");
      const b = right(machine);
      if (machine.type !== TYPE.bool) return machine.refuse(machine.type, "true or false");
      return machine.bool(of(a === 1, b === 1));
    },
  };
}

export const BINARY: Readonly<Record<BinaryOperator, Operator>> = {
  "+": PLUS,
  "-": arithmetic(SUBTRACT),
  "*": arithmetic(MULTIPLY),
  "/": arithmetic(DIVIDE),
  "%": arithmetic(REMAINDER),
  "^": POWER,
  "<": comparison((order) => order < 0),
  ">": comparison((order) => order > 0),
  "<=": comparison((order) => order <= 0),
  ">=": comparison((order) => order >= 0),
  "==": equality(true),
  "!=": equality(false),
  "&&": logic((a, b) => a && b),
  "||": logic((a, b) => a || b),
};

export const UNARY: Readonly<Record<UnaryOperator, { operands: number; code(operand: Code): Code }>> = {
  "-": {
    operands: NUMBER,
    code: (operand) => (machine) => {
      const value = operand(machine);
      if (machine.type === TYPE.float) return -value;
      if (machine.type === TYPE.int) return machine.int(-value);
      if (machine.type === TYPE.bigInt) return machine.bigInt(-machine.big);
      return machine.refuse(machine.type, "a number");
    },
  },
  "!": {
    operands: TYPE.bool,
    code: (operand) => (machine) => {
      const value = operand(machine);
      if (machine.type !== TYPE.bool) return machine.refuse(machine.type, "true or false");
      return machine.bool(value === 0);
    },
  },
};
