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

/** Computes with {@linkcode Machine.left} and {@linkcode Machine.number}, and sets the latter. */
type Compute = (machine: Machine) => void;

interface Arithmetic {
  readonly float: Compute;
  /** Of ints up to 2^53, as a number that is exact if it is at most 2^53. */
  readonly int: Compute;
  big(a: bigint, b: bigint): bigint;
  /** Whether a right operand of 0 is a problem with ints. */
  readonly divides?: boolean;
}

const add: Compute = (machine) => {
  machine.number = machine.left + machine.number;
};
const subtract: Compute = (machine) => {
  machine.number = machine.left - machine.number;
};
const multiply: Compute = (machine) => {
  machine.number = machine.left * machine.number;
};
const divide: Compute = (machine) => {
  machine.number = machine.left / machine.number;
};
const divideInts: Compute = (machine) => {
  machine.number = Math.trunc(machine.left / machine.number);
};
const remainder: Compute = (machine) => {
  machine.number = machine.left % machine.number;
};

const ADD: Arithmetic = { float: add, int: add, big: (a, b) => a + b };
const SUBTRACT: Arithmetic = { float: subtract, int: subtract, big: (a, b) => a - b };
const MULTIPLY: Arithmetic = { float: multiply, int: multiply, big: (a, b) => a * b };
const DIVIDE: Arithmetic = { float: divide, int: divideInts, big: (a, b) => a / b, divides: true };
const REMAINDER: Arithmetic = { float: remainder, int: remainder, big: (a, b) => a % b, divides: true };

function arithmetic(by: Arithmetic): Operator {
  return {
    operands: NUMBER,
    result: numeric,
    code: (left, right) => (machine) => {
      left(machine);
      const { type, number, big } = machine;
      if (type === TYPE.none) return;
      right(machine);
      machine.left = number;
      compute(machine, by, type, big);
    },
  };
}

/** The right operand is what the machine computed last. */
function compute(machine: Machine, by: Arithmetic, leftType: number, leftBig: bigint): void {
  const types = leftType | machine.type;
  if ((types & ~(NUMBER | TYPE.bigInt)) !== 0) {
    return machine.refuse("a number", isNumber(leftType) ? machine.type : leftType);
  }
  if ((types & TYPE.float) !== 0) {
    by.float(machine);
    machine.type = TYPE.float;
    return;
  }
  const { left, number } = machine;
  if (by.divides && number === 0) return machine.fail("an int is divided by 0");
  if (types === TYPE.int) {
    by.int(machine);
    if (Number.isSafeInteger(machine.number)) return machine.int();
  }
  const right = machine.type === TYPE.bigInt ? machine.big : BigInt(number);
  machine.bigInt(by.big(leftType === TYPE.bigInt ? leftBig : BigInt(left), right));
}

const isNumber = (type: number) => (type & (NUMBER | TYPE.bigInt)) !== 0;

/** The int that the machine computed last. */
export function bigOf({ type, number, big }: Machine): bigint {
  return type === TYPE.bigInt ? big : BigInt(number);
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
    left(machine);
    const { type, number, big, text } = machine;
    if (type === TYPE.none) return;
    right(machine);
    if (type === TYPE.string && machine.type === TYPE.string) return machine.string(text + machine.text);
    machine.left = number;
    compute(machine, ADD, type, big);
  },
};

/** Always a float. */
const POWER: Operator = {
  operands: NUMBER,
  result: () => TYPE.float,
  code: (left, right) => (machine) => {
    left(machine);
    if (!isNumber(machine.type)) return machine.refuse("a number");
    const { number } = machine;
    right(machine);
    if (!isNumber(machine.type)) return machine.refuse("a number");
    machine.number = number ** machine.number;
    machine.type = TYPE.float;
  },
};

/** How the left operand is to the right one; 0 with NaN. */
const [LESS, EQUAL, MORE] = [1, 2, 4];

/** @param orders Those in which it is true. */
function comparison(orders: number): Operator {
  return {
    operands: NUMBER | TYPE.string,
    sameType: true,
    result: () => TYPE.bool,
    code: (left, right) => (machine) => {
      left(machine);
      const { type, number, big, text } = machine;
      if (type === TYPE.none) return;
      right(machine);
      if (type === TYPE.string && machine.type === TYPE.string) {
        return machine.bool((orders & orderOf(text, machine.text)) !== 0);
      }
      if (!isNumber(machine.type)) return machine.refuse("a number");
      if (!isNumber(type)) return machine.refuse("a number", type);
      const isBig = ((type | machine.type) & (TYPE.bigInt | TYPE.float)) === TYPE.bigInt;
      if (isBig) {
        const order = orderOf(type === TYPE.bigInt ? big : BigInt(number), bigOf(machine));
        return machine.bool((orders & order) !== 0);
      }
      const other = machine.number;
      const order = number < other ? LESS : number > other ? MORE : number === other ? EQUAL : 0;
      machine.bool((orders & order) !== 0);
    },
  };
}

function orderOf<T extends bigint | string>(a: T, b: T): number {
  return a < b ? LESS : a > b ? MORE : EQUAL;
}

function equality(wanted: boolean): Operator {
  return {
    operands: ~0,
    result: () => TYPE.bool,
    code: (left, right) => (machine) => {
      left(machine);
      const { type, number } = machine;
      if (type === TYPE.none) return;
      const isPlain = (type & (NUMBER | TYPE.bool)) !== 0;
      const kept = isPlain ? null : machine.keep();
      right(machine);
      if (machine.type === TYPE.none) return;
      const isEqual = kept === null
        ? machine.type === type && machine.number === number
        : isSame(kept, machine.keep());
      machine.bool(isEqual === wanted);
    },
  };
}

/** Both operands are evaluated. */
function logic(of: (a: boolean, b: boolean) => boolean): Operator {
  return {
    operands: TYPE.bool,
    result: () => TYPE.bool,
    code: (left, right) => (machine) => {
      left(machine);
      if (machine.type !== TYPE.bool) return machine.refuse("true or false");
      const first = machine.number === 1;
      right(machine);
      if (machine.type !== TYPE.bool) return machine.refuse("true or false");
      machine.bool(of(first, machine.number === 1));
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
  "<": comparison(LESS),
  ">": comparison(MORE),
  "<=": comparison(LESS | EQUAL),
  ">=": comparison(MORE | EQUAL),
  "==": equality(true),
  "!=": equality(false),
  "&&": logic((a, b) => a && b),
  "||": logic((a, b) => a || b),
};

export const UNARY: Readonly<Record<UnaryOperator, { operands: number; code(operand: Code): Code }>> = {
  "-": {
    operands: NUMBER,
    code: (operand) => (machine) => {
      operand(machine);
      if (machine.type === TYPE.bigInt) return machine.bigInt(-machine.big);
      if (!isNumber(machine.type)) return machine.refuse("a number");
      machine.number = -machine.number;
      if (machine.type === TYPE.int) machine.int();
    },
  },
  "!": {
    operands: TYPE.bool,
    code: (operand) => (machine) => {
      operand(machine);
      if (machine.type !== TYPE.bool) return machine.refuse("true or false");
      machine.bool(machine.number === 0);
    },
  },
};
