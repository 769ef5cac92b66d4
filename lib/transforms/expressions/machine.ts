/**
 * Where expressions are evaluated. A value is a number and what else the machine says of it.
 *
 * Nothing is allocated for ints up to 2^53, floats and booleans: V8 makes an object of each number that a function
 * takes or returns, unless it inlines the call, but it writes a number into a field of an object in place. Therefore
 * numbers go from function to function in fields of the machine.
 */

type TypeName = "int" | "float" | "bool" | "string" | "tuple" | "empty" | "bigInt" | "none";

/** The types of values; a set of types is their sum. */
export const TYPE: Readonly<Record<TypeName, number>> = {
  int: 1,
  float: 2,
  bool: 4,
  string: 8,
  tuple: 16,
  empty: 32,
  /** An int beyond 2^53: {@linkcode Machine.big} has it. */
  bigInt: 64,
  /** There is no value: {@linkcode Machine.problem} says why. */
  none: 128,
};

export const NUMBER = TYPE.int | TYPE.float;

/** A value that is kept, as in a tuple. */
export interface Value {
  readonly type: number;
  readonly number: number;
  readonly big: bigint;
  readonly text: string;
  readonly items: readonly Value[];
}

const MIN_INT = -(2n ** 63n);
const MAX_INT = 2n ** 63n - 1n;

/** Evaluates something: sets {@linkcode Machine.type} and {@linkcode Machine.number}. */
export type Code = (machine: Machine) => void;

export class Machine {
  /** The type of the value that was computed last. */
  type = TYPE.empty;
  /** Its number: NaN where there is no value. As the first number is not an int, V8 keeps all of them as floats. */
  number = NaN;
  /** The number of the left operand, for what computes with two. */
  left = NaN;
  big = 0n;
  text = "";
  items: readonly Value[] = [];
  problem = "";
  /** The variables, by their places: the values, and whether they are ints. */
  readonly values: Float64Array<ArrayBuffer>;
  readonly types: Uint8Array<ArrayBuffer>;

  constructor(variables: number) {
    this.values = new Float64Array(variables);
    this.types = new Uint8Array(variables).fill(TYPE.float);
  }

  bool(value: boolean): void {
    this.type = TYPE.bool;
    this.number = value ? 1 : 0;
  }

  string(text: string): void {
    this.type = TYPE.string;
    this.number = 0;
    this.text = text;
  }

  /** The number is an int that is known to be at most 2^53. */
  int(): void {
    this.type = TYPE.int;
    // Not -0.
    this.number += 0;
  }

  /** Any int; one that does not fit into 64 bits is a problem. */
  bigInt(value: bigint): void {
    if (value < MIN_INT || value > MAX_INT) return this.fail("the result is beyond 64 bits");
    this.number = Number(value);
    if (Number.isSafeInteger(this.number)) return this.int();
    this.type = TYPE.bigInt;
    this.big = value;
  }

  fail(problem: string): void {
    this.type = TYPE.none;
    this.number = NaN;
    this.problem = problem;
  }

  /** Fails because the value that was computed last has the wrong type, unless there is no value. */
  refuse(wanted: string, type = this.type): void {
    if (this.type !== TYPE.none) this.fail(`${wanted} is wanted, not ${typeName(type)}`);
  }

  /** The value that was computed last. */
  keep(): Value {
    const { type, number, big, text, items } = this;
    return { type, number, big, text, items };
  }
}

export function typeName(type: number): string {
  switch (type) {
    case TYPE.int:
    case TYPE.bigInt:
      return "int";
    case TYPE.float:
      return "float";
    case TYPE.bool:
      return "boolean";
    case TYPE.string:
      return "string";
    default:
      return type === TYPE.tuple ? "tuple" : "empty";
  }
}

/** Whether two values are the same, of the same type: 1 is not 1.0. */
export function isSame(a: Value, b: Value): boolean {
  if (a.type !== b.type) return false;
  if (a.type === TYPE.bigInt) return a.big === b.big;
  if (a.type === TYPE.string) return a.text === b.text;
  if (a.type !== TYPE.tuple) return a.type === TYPE.empty || a.number === b.number;
  return a.items.length === b.items.length && a.items.every((item, i) => isSame(item, b.items[i]));
}
