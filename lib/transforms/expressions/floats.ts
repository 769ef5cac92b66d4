/**
 * Functions of floats. Each one is written out: V8 makes no object of a result only where it knows which function of
 * `Math` is called.
 */
import type { Machine } from "./machine.ts";

type Compute = (machine: Machine) => void;

/** They replace {@linkcode Machine.number}. */
export const OF_ONE_FLOAT: Readonly<Record<string, Compute>> = {
  floor: (machine) => {
    machine.number = Math.floor(machine.number);
  },
  /** Half away from 0. */
  round: (machine) => {
    const { number } = machine;
    machine.number = number < 0 ? -Math.round(-number) : Math.round(number);
  },
  ceil: (machine) => {
    machine.number = Math.ceil(machine.number);
  },
  "math::exp2": (machine) => {
    machine.number = 2 ** machine.number;
  },
  "math::ln": (machine) => {
    machine.number = Math.log(machine.number);
  },
  "math::log2": (machine) => {
    machine.number = Math.log2(machine.number);
  },
  "math::log10": (machine) => {
    machine.number = Math.log10(machine.number);
  },
  "math::exp": (machine) => {
    machine.number = Math.exp(machine.number);
  },
  "math::cos": (machine) => {
    machine.number = Math.cos(machine.number);
  },
  "math::acos": (machine) => {
    machine.number = Math.acos(machine.number);
  },
  "math::cosh": (machine) => {
    machine.number = Math.cosh(machine.number);
  },
  "math::acosh": (machine) => {
    machine.number = Math.acosh(machine.number);
  },
  "math::sin": (machine) => {
    machine.number = Math.sin(machine.number);
  },
  "math::asin": (machine) => {
    machine.number = Math.asin(machine.number);
  },
  "math::sinh": (machine) => {
    machine.number = Math.sinh(machine.number);
  },
  "math::asinh": (machine) => {
    machine.number = Math.asinh(machine.number);
  },
  "math::tan": (machine) => {
    machine.number = Math.tan(machine.number);
  },
  "math::atan": (machine) => {
    machine.number = Math.atan(machine.number);
  },
  "math::tanh": (machine) => {
    machine.number = Math.tanh(machine.number);
  },
  "math::atanh": (machine) => {
    machine.number = Math.atanh(machine.number);
  },
  "math::sqrt": (machine) => {
    machine.number = Math.sqrt(machine.number);
  },
  "math::cbrt": (machine) => {
    machine.number = Math.cbrt(machine.number);
  },
};

/** They compute with {@linkcode Machine.left} and {@linkcode Machine.number}, and replace the latter. */
export const OF_TWO_FLOATS: Readonly<Record<string, Compute>> = {
  "math::log": (machine) => {
    const { left, number } = machine;
    // Exact for the usual bases.
    if (number === 2) machine.number = Math.log2(left);
    else if (number === 10) machine.number = Math.log10(left);
    else machine.number = Math.log(left) / Math.log(number);
  },
  "math::pow": (machine) => {
    machine.number = machine.left ** machine.number;
  },
  "math::atan2": (machine) => {
    machine.number = Math.atan2(machine.left, machine.number);
  },
  "math::hypot": (machine) => {
    machine.number = Math.hypot(machine.left, machine.number);
  },
};
