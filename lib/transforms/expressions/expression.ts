/** An expression that was parsed and checked, to be evaluated for many points. */
import { didYouMean } from "../../base/suggest.ts";
import { FUNCTIONS } from "./functions.ts";
import { ExpressionError } from "./lexer.ts";
import { type Code, Machine, NUMBER, TYPE } from "./machine.ts";
import { BINARY, UNARY } from "./operators.ts";
import { type Node, treeOf } from "./parser.ts";

const TYPE_NAMES: readonly (readonly [type: number, name: string])[] = [
  [TYPE.int, "an int"],
  [TYPE.float, "a float"],
  [TYPE.bool, "true or false"],
  [TYPE.string, "a text"],
  [TYPE.tuple, "several values"],
  [TYPE.empty, "nothing"],
];

/** More characters than a formula needs: each operator is a call in a call. */
const MAX_LENGTH = 4096;

export class Expression {
  readonly #code: Code;
  readonly #machine: Machine;
  /** The variables that it reads, by their places in the list that it was given. */
  readonly variables: ReadonlySet<number>;

  /**
   * @param variables The names of all variables.
   * @throws {ExpressionError} for a mistake in the text.
   */
  constructor(text: string, variables: readonly string[]) {
    if (text.length > MAX_LENGTH) {
      throw new ExpressionError(`the formula is longer than ${MAX_LENGTH} characters`, text, MAX_LENGTH);
    }
    const compiler = new Compiler(text, variables);
    const { code, type } = compiler.compile(treeOf(text));
    if ((type & NUMBER) === 0) {
      throw new ExpressionError(`the result must be a number, not ${wordsFor(type)}`, text, 0);
    }
    this.#code = code;
    this.variables = compiler.used;
    this.#machine = new Machine(variables.length);
  }

  /** Sets a variable to a float, or to an int; an int beyond 2^53, which is rounded already, is a float. */
  set(variable: number, value: number, isInt: boolean): void {
    this.#machine.values[variable] = value;
    this.#machine.types[variable] = isInt && Number.isSafeInteger(value) ? TYPE.int : TYPE.float;
  }

  /** The result for the variables as they are; where there is none, {@linkcode problem} says why. */
  evaluate(): number {
    const machine = this.#machine;
    machine.problem = "";
    this.#code(machine);
    if ((machine.type & (NUMBER | TYPE.bigInt)) === 0) machine.refuse("a number");
    return machine.number;
  }

  /** Why the last evaluation has no result; empty where it has one. */
  get problem(): string {
    return this.#machine.problem;
  }
}

function wordsFor(type: number): string {
  return TYPE_NAMES.filter(([one]) => (one & type) !== 0).map(([, name]) => name).join(" or ");
}

interface Compiled {
  readonly code: Code;
  /** The types that the value may have. */
  readonly type: number;
  readonly at: number;
}

class Compiler {
  readonly used = new Set<number>();

  constructor(readonly text: string, readonly variables: readonly string[]) {}

  compile(node: Node): Compiled {
    const { at } = node;
    switch (node.kind) {
      case "int": {
        const { value } = node;
        const number = Number(value);
        return Number.isSafeInteger(number)
          ? { at, type: TYPE.int, code: constant(TYPE.int, number) }
          : { at, type: TYPE.int, code: (machine) => machine.bigInt(value) };
      }
      case "float": {
        const { value } = node;
        return { at, type: TYPE.float, code: constant(TYPE.float, value) };
      }
      case "bool": {
        const { value } = node;
        return { at, type: TYPE.bool, code: (machine) => machine.bool(value) };
      }
      case "string": {
        const { text } = node;
        return { at, type: TYPE.string, code: (machine) => machine.string(text) };
      }
      case "empty":
        return { at, type: TYPE.empty, code: setEmpty };
      case "variable":
        return this.#variable(node.name, at);
      case "unary": {
        const operand = this.compile(node.operand);
        const { operands, code } = UNARY[node.operator];
        this.#require(operand, operands);
        return { at, type: operand.type & operands, code: code(operand.code) };
      }
      case "binary": {
        const [left, right] = [this.compile(node.left), this.compile(node.right)];
        const { operands, sameType, result, code } = BINARY[node.operator];
        this.#require(left, operands);
        this.#require(right, operands);
        // A text has nothing in common with a number.
        if (sameType) this.#require(right, alike(left.type));
        return { at, type: result(left.type, right.type), code: code(left.code, right.code) };
      }
      case "call":
        return this.#call(node.name, node.args, at);
      case "tuple": {
        const items = node.items.map((item) => this.compile(item));
        return { at, type: TYPE.tuple, code: tupleOf(items.map(({ code }) => code)) };
      }
      case "chain": {
        const items = node.items.map((item) => this.compile(item));
        return { at, type: items.at(-1)!.type, code: chainOf(items.map(({ code }) => code)) };
      }
    }
  }

  #variable(name: string, at: number): Compiled {
    const place = this.variables.indexOf(name);
    if (place < 0) {
      const hint = FUNCTIONS.has(name)
        ? `${name} is a function: write ${name}(…)`
        : `there is no series ${name}${
          didYouMean(name, this.variables) || `; there are ${this.variables.join(", ")}`
        }`;
      throw new ExpressionError(hint, this.text, at);
    }
    this.used.add(place);
    return {
      at,
      type: NUMBER,
      code: (machine) => {
        machine.type = machine.types[place];
        machine.number = machine.values[place];
      },
    };
  }

  #call(name: string, nodes: readonly Node[], at: number): Compiled {
    const definition = FUNCTIONS.get(name);
    if (!definition) {
      const hint = this.variables.includes(name)
        ? `an operator is missing behind ${name}`
        : `there is no function ${name}${didYouMean(name, [...FUNCTIONS.keys()])}`;
      throw new ExpressionError(hint, this.text, at);
    }
    const { least, most, args: types, result, code } = definition;
    if (nodes.length < least || nodes.length > most) {
      const wanted = least === most
        ? `${least}`
        : most === Infinity
        ? `${least} or more`
        : `${least} or ${most}`;
      throw new ExpressionError(`${name} takes ${wanted} arguments, not ${nodes.length}`, this.text, at);
    }
    const args = nodes.map((node) => this.compile(node));
    for (const [i, arg] of args.entries()) this.#require(arg, types[Math.min(i, types.length - 1)]);
    return { at, type: result(args.map(({ type }) => type)), code: code(args.map(({ code }) => code)) };
  }

  /** @throws {ExpressionError} if a value cannot have one of the types. */
  #require({ type, at }: Compiled, wanted: number): void {
    if ((type & wanted) !== 0) return;
    throw new ExpressionError(`this is ${wordsFor(type)}, expected ${wordsFor(wanted)}`, this.text, at);
  }
}

/** The types that values of some types can be joined to or compared with. */
function alike(type: number): number {
  return ((type & NUMBER) !== 0 ? NUMBER : 0) | (type & TYPE.string);
}

function constant(type: number, number: number): Code {
  return (machine) => {
    machine.type = type;
    machine.number = number;
  };
}

function setEmpty(machine: Machine): void {
  machine.type = TYPE.empty;
  machine.number = 0;
}

function tupleOf(items: readonly Code[]): Code {
  return (machine) => {
    const values = [];
    for (const item of items) {
      item(machine);
      if (machine.type === TYPE.none) return;
      values.push(machine.keep());
    }
    machine.type = TYPE.tuple;
    machine.number = 0;
    machine.items = values;
  };
}

function chainOf(items: readonly Code[]): Code {
  return (machine) => {
    for (const item of items) {
      item(machine);
      if (machine.type === TYPE.none) return;
    }
  };
}
