/** Divides a number so that the parts add up to it. */

/**
 * Parts of a number in proportion to weights, of which the last one takes what nobody has a weight for. The exact sum of
 * the parts, rounded once, is the number.
 *
 * @param weights 0 or more each.
 */
export function divide(whole: number, weights: Float64Array): Float64Array {
  const count = weights.length;
  const parts = new Float64Array(count);
  let total = 0;
  for (const weight of weights) total += weight;
  if (!(total > 0 && total < Infinity) || !Number.isFinite(whole)) {
    parts[count - 1] = whole;
    return parts;
  }
  // The sum so far is `sum` and `rest` together.
  let sum = 0;
  let rest = 0;
  let largest = 0;
  for (let i = 0; i < count; i++) {
    if (weights[i] === 0) continue;
    const part = whole * (weights[i] / total);
    parts[i] = part;
    if (Math.abs(part) > Math.abs(parts[largest])) largest = i;
    const next = sum + part;
    const added = next - sum;
    rest += (sum - (next - added)) + (part - added);
    sum = next;
  }
  parts[largest] += (whole - sum) - rest;
  return parts;
}
