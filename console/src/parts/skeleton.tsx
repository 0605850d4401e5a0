/** Space for rows that are loading. Screen readers hear "Loading". */
export function Skeleton({ rows = 4, height = 40 }: { rows?: number; height?: number }) {
  return (
    <div role="status">
      <span class="hidden-label">Loading</span>
      {Array.from({ length: rows }, (_, at) => (
        <div key={at} style={{ height: `${height}px`, padding: "14px 12px" }} aria-hidden="true">
          <span class="skeleton" style={{ width: `${85 - ((at * 17) % 40)}%` }} />
        </div>
      ))}
    </div>
  );
}
