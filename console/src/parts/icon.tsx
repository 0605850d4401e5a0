// Icons, drawn with lines on a grid of 16. They are decoration: the text beside them or the button's label says what they mean.

const PATHS = {
  overview: "M2.500 9a5.500 5.500 0 0 1 11 0M8 9l2.500-3M2.500 12.500h11",
  keys: "M10.500 9a3.500 3.500 0 1 0-3.300-2.300L2.500 11.400v2.100h2.600v-1.700h1.700v-1.700L8 8.800M11.200 4.800h.01",
  incidents: "M8 2 1.800 13h12.400zM8 6.200v3.300M8 11.400h.01",
  leaks: "M8 2.200s4.200 4.300 4.200 7.400a4.200 4.200 0 0 1-8.400 0C3.800 6.500 8 2.200 8 2.200z",
  audit: "M4 2.500h8v11H4zM6.200 5.700h3.600M6.200 8h3.600M6.200 10.300h2",
  members:
    "M6 7.500a2.300 2.300 0 1 0 0-4.600 2.300 2.300 0 0 0 0 4.600zM1.800 13c.3-2.300 1.900-3.600 4.200-3.600s3.900 1.300 4.200 3.600M10.800 3.300a2.200 2.200 0 0 1 0 4M12 9.700c1.300.5 2.100 1.600 2.300 3.300",
  events: "M2.500 8h3l1.500-4.500L9.500 13 11 8h2.500",
  settings:
    "M2.500 4.500h6M12 4.500h1.500M2.500 11.500H4M7.500 11.500h6M10.200 6.200a1.700 1.700 0 1 0 0-3.400 1.700 1.700 0 0 0 0 3.400zM5.800 13.200a1.700 1.700 0 1 0 0-3.400 1.700 1.700 0 0 0 0 3.400z",
  search: "M7 11.500a4.500 4.500 0 1 0 0-9 4.500 4.500 0 0 0 0 9zM10.300 10.300l3.200 3.200",
  copy: "M5.500 5.500v-3h8v8h-3M2.500 5.500h8v8h-8z",
  check: "M3 8.500l3.300 3.300L13 4.800",
  close: "M4 4l8 8M12 4l-8 8",
  menu: "M2.500 4.500h11M2.500 8h11M2.500 11.500h11",
  more: "M3.500 8h.01M8 8h.01M12.500 8h.01",
  warning: "M8 2 1.800 13h12.400zM8 6.200v3.300M8 11.400h.01",
  info: "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12zM8 7.500v3.300M8 5.200h.01",
  shield: "M8 1.800 13 3.700v4c0 3-2 5.300-5 6.500-3-1.200-5-3.500-5-6.500v-4zM5.800 7.900l1.600 1.600 2.900-3",
  plus: "M8 3v10M3 8h10",
  up: "M4.500 9.500 8 6l3.500 3.500",
  down: "M4.500 6.500 8 10l3.500-3.500",
  right: "M6.500 4.500 10 8l-3.500 3.500",
  left: "M9.500 4.500 6 8l3.500 3.500",
  download: "M8 2.500v8M4.800 7.500 8 10.700l3.200-3.200M2.500 13.500h11",
  rotate: "M13 8a5 5 0 1 1-1.700-3.800M13.200 2.500v2.800h-2.800",
  clock: "M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12zM8 4.800V8l2.200 1.500",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name }: { name: IconName }) {
  return (
    <svg
      class="icon-svg"
      viewBox="0 0 16 16"
      fill="none"
      stroke="currentColor"
      stroke-width={name === "more" ? "2.25" : "1.5"}
      stroke-linecap="round"
      stroke-linejoin="round"
      aria-hidden="true"
      focusable="false"
    >
      <path d={PATHS[name]} />
    </svg>
  );
}

export function Logo() {
  return (
    <svg viewBox="0 0 32 32" width="24" height="24" aria-hidden="true" focusable="false">
      <rect width="32" height="32" rx="7" fill="#1f5eff" />
      <g fill="none" stroke="#fff" stroke-width="3" stroke-linecap="round" stroke-linejoin="round">
        <circle cx="16" cy="12" r="4.5" />
        <path d="M16 16.500v8.500M16 21h4" />
      </g>
    </svg>
  );
}
