import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";

interface Props {
  title: string;
  /** Beside the title: chips, ids. */
  beside?: ComponentChildren;
  crumb?: ComponentChildren;
  intro?: ComponentChildren;
  actions?: ComponentChildren;
  children: ComponentChildren;
}

/** A screen with its title, which is the document's title too. */
export function Page({ title, beside, crumb, intro, actions, children }: Props) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    document.title = `${title} · Keyward`;
  }, [title]);
  useEffect(() => {
    // The focus goes to the title of a new screen, so that a screen reader reads it; not away from a field or an open dialog.
    if (!document.activeElement || document.activeElement === document.body || document.activeElement.tagName === "A") {
      heading.current?.focus({ preventScroll: true });
    }
    scrollTo(0, 0);
  }, []);
  return (
    <>
      <div class="page-head">
        <div>
          {crumb && <div class="crumb">{crumb}</div>}
          <div class="row">
            <h1 tabIndex={-1} ref={heading}>
              {title}
            </h1>
            {beside}
          </div>
          {intro && <p class="intro">{intro}</p>}
        </div>
        {actions && <div class="row">{actions}</div>}
      </div>
      {children}
    </>
  );
}
