// Short rounds with all variants in changing order. The result is the median over all rounds of the ratio within a round.

export const median = (numbers) => {
  const sorted = [...numbers].sort((one, other) => one - other);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
};

/** Returns the quartiles, which show the spread of the rounds. */
export const quartiles = (numbers) => {
  const sorted = [...numbers].sort((one, other) => one - other);
  const at = (part) => sorted[Math.round((sorted.length - 1) * part)];
  return [at(0.25), at(0.75)];
};

/**
 * Runs `variants`, `[{name, port, path, count, credentials(round), expect}]`, and returns for each name
 * `{cpu: [µs per request, by round], perSecond, p50, p99}`.
 * @param {any[]} variants
 * @param {{ rounds: number, workerd: any, load: any, onRound?: (round: number) => void }} options
 */
export async function runRounds(variants, { rounds, workerd, load, onRound = () => {} }) {
  const results = Object.fromEntries(variants.map(({ name }) => [name, { cpu: [], perSecond: [], p50: [], p99: [] }]));
  for (let round = 0; round < rounds; round += 1) {
    // Each variant has each position and each neighbour equally often.
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

/** Returns the median and the quartiles of the ratios within each round. */
export function ratio(results, name, to) {
  const ratios = results[name].cpu.map((cpu, round) => cpu / results[to].cpu[round]);
  return { median: median(ratios), quartiles: quartiles(ratios) };
}
