import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type uPlot from "uplot";
import { theme } from "../app/theme.ts";
import { useObservable } from "../logic/observable.ts";
import { clock, DAY_MS, dayAndMonth, moment } from "../logic/time.ts";
import type { Decisions } from "../logic/usage.ts";
import { number } from "../logic/words.ts";

export interface Series {
  name: string;
  /** Name of a colour token, such as "accent". */
  colour: "accent" | "danger" | "ok" | "warning" | "muted";
  values: number[];
  dashed?: boolean;
}

interface Props {
  /** What the chart shows, for screen readers. */
  label: string;
  /** Start of each step, in ms. */
  times: number[];
  series: Series[];
  /** Further lines of the legend for the step under the pointer, such as refusals by code. */
  detailAt?: (index: number) => string | null;
}

const HEIGHT = 200;
const STROKE = 1.5;

/** Reads a colour token as the browser resolves it in the current theme. */
function colourOf(box: HTMLElement, token: string): string {
  const probe = document.createElement("span");
  probe.style.color = `var(--${token})`;
  box.append(probe);
  const colour = getComputedStyle(probe).color;
  probe.remove();
  return colour;
}

/** "12:00", or "24 Nov" at the start of a day, in UTC like the steps. */
const timeLabel = (seconds: number) =>
  (seconds * 1_000) % DAY_MS === 0 ? dayAndMonth(seconds * 1_000) : clock(seconds * 1_000);

const sum = (values: number[]) => values.reduce((total, value) => total + value, 0);

const faded = (colour: string) => colour.replace(/^rgb\((.*)\)$/, "rgb($1 / 0.12)").replaceAll(",", " ");

const seriesOptions = (box: HTMLElement, { name, colour, dashed }: Series): uPlot.Series => {
  const stroke = colourOf(box, colour);
  return {
    label: name,
    stroke,
    width: STROKE,
    fill: dashed ? undefined : faded(stroke),
    dash: dashed ? [4, 3] : undefined,
    points: { show: false },
  };
};

function options(box: HTMLElement, series: Series[], onStep: (index: number | null) => void): uPlot.Options {
  const axis = {
    stroke: colourOf(box, "muted"),
    font: "12px system-ui",
    grid: { stroke: colourOf(box, "line"), width: 1 },
    ticks: { show: false },
  };
  return {
    width: Math.max(200, box.clientWidth),
    height: HEIGHT,
    legend: { show: false },
    tzDate: (seconds) =>
      new Date(new Date(seconds * 1e3).getTime() + new Date(seconds * 1e3).getTimezoneOffset() * 60_000),
    cursor: { y: false, drag: { x: false, y: false } },
    scales: { y: { range: (_, __, max) => [0, Math.max(4, max * 1.1)] } },
    axes: [
      { ...axis, size: 28, grid: { show: false }, values: (_, ticks) => ticks.map(timeLabel) },
      { ...axis, size: 48, values: (_, ticks) => ticks.map((tick) => (Number.isInteger(tick) ? number(tick) : "")) },
    ],
    series: [{}, ...series.map((one) => seriesOptions(box, one))],
    hooks: { setCursor: [(plot) => onStep(plot.cursor.idx ?? null)] },
  };
}

/** The series of allowed and of refused requests; none as long as there are no numbers. */
export const useDecisions = (of: Decisions | null): Series[] =>
  useMemo(
    () =>
      of
        ? [
            { name: "Allowed", colour: "accent", values: of.allowed },
            { name: "Refused", colour: "danger", values: of.refused },
          ]
        : [],
    [of],
  );

/** Lines over time. uPlot is loaded when the first chart is shown; the table beneath says the same in words. */
export function Chart({ label, times, series, detailAt }: Props) {
  const box = useRef<HTMLDivElement>(null);
  const [step, setStep] = useState<number | null>(null);
  const colours = useObservable(theme);
  const [dark, setDark] = useState(() => matchMedia("(prefers-color-scheme: dark)").matches);
  useEffect(() => {
    const media = matchMedia("(prefers-color-scheme: dark)");
    const follow = () => setDark(media.matches);
    media.addEventListener("change", follow);
    return () => media.removeEventListener("change", follow);
  }, []);
  useEffect(() => {
    let plot: uPlot | null = null;
    let gone = false;
    const resize = new ResizeObserver(
      () => box.current && plot?.setSize({ width: Math.max(200, box.current.clientWidth), height: HEIGHT }),
    );
    import("uplot").then(({ default: UPlot }) => {
      if (gone || !box.current) return;
      const data: uPlot.AlignedData = [times.map((ms) => ms / 1_000), ...series.map(({ values }) => values)];
      plot = new UPlot(options(box.current, series, setStep), data, box.current);
      resize.observe(box.current);
    });
    return () => {
      gone = true;
      resize.disconnect();
      plot?.destroy();
    };
  }, [times, series, colours, dark]);
  const start = step === null ? undefined : times[step];
  const detail = step === null ? null : detailAt?.(step);
  return (
    <figure class="chart stack-8">
      <figcaption class="legend">
        <span>{start === undefined ? "In total" : moment(start)}</span>
        {series.map(({ name, colour, values }) => (
          <span key={name}>
            <i style={{ background: `var(--${colour})` }} aria-hidden="true" />
            {name} <span class="number">{number(step === null ? sum(values) : (values[step] ?? 0))}</span>
          </span>
        ))}
        {detail && <span>{detail}</span>}
      </figcaption>
      <div
        ref={box}
        role="img"
        aria-label={`${label}. The table below has the numbers.`}
        style={{ minHeight: `${HEIGHT}px` }}
      />
      <details class="small">
        <summary>Show as a table</summary>
        <div class="table-wrap" style={{ maxHeight: "240px", overflow: "auto", marginTop: "8px" }}>
          <table>
            <caption class="hidden-label">{label}</caption>
            <thead>
              <tr>
                <th scope="col">From</th>
                {series.map(({ name }) => (
                  <th key={name} scope="col" class="right">
                    {name}
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {times.map((time, index) => (
                <tr key={time}>
                  <td>{moment(time)}</td>
                  {series.map(({ name, values }) => (
                    <td key={name} class="right number">
                      {number(values[index] ?? 0)}
                    </td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      </details>
    </figure>
  );
}
