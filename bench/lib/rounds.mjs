// Short rounds, all variants in each, in an order that changes; what counts is the ratio within a round and the median over all.

export const median = (numbers) => {
  const sorted = [...numbers].sort((one, other) => one - other);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
};

/** The quarter points, as a measure of how far rounds lie apart. */
export const quartiles = (numbers) => {
  const sorted = [...numbers].sort((one, other) => one - other);
  const at = (part) => sorted[Math.round((sorted.length - 1) * part)];
  return [at(0.25), at(0.75)];
};

/**
 * Runs `variants`, `[{name, port, path, count, credentials(round), expect}]`, and gives by name
 * `{cpu: [µs per request, by round], perSecond, p50, p99}`.
 */
export async function runRounds(variants, { rounds, workerd, load, onRound = () => {} }) {
  const results = Object.fromEntries(variants.map(({ name }) => [name, { cpu: [], perSecond: [], p50: [], p99: [] }]));
  for (let round = 0; round < rounds; round += 1) {
    // Each variant has each neighbour and each place equally often.
    const turned = variants.map((_, index) => variants[(index + round) % variants.length]);
    for (const variant of round % 2 ? turned.reverse() : turned) {
      const { name, port, path, count, expect } = variant;
      const order = { port, path, count, ...variant.order(round) };
      const before = workerd.cpuSeconds();
      const { seconds, p50, p99, statuses } = await load.run(order);
      const cpu = ((workerd.cpuSeconds() - before) / count) * 1e6;
      const others = Object.keys(statuses).filter((status) => Number(status) !== expect);
      if (others.length > 0) throw new Error(`${name} answered ${JSON.stringify(statuses)} instead of ${expect}`);
      const result = results[name];
      result.cpu.push(cpu);
      result.perSecond.push(count / seconds);
      result.p50.push(p50);
      result.p99.push(p99);
    }
    onRound(round + 1);
  }
  return results;
}

/** The median of the ratios within each round, and its quarter points. */
export function ratio(results, name, to) {
  const ratios = results[name].cpu.map((cpu, round) => cpu / results[to].cpu[round]);
  return { median: median(ratios), quartiles: quartiles(ratios) };
}
