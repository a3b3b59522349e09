/** Data and bodies, as text whatever is in them: indented and coloured where they are JSON. */
import { useMemo } from 'preact/hooks';
import { Copy } from './copy.tsx';
import { indentJson, tokenize } from './json-text.ts';

/** Beyond it nothing is indented or coloured, in characters. */
const MAX_COLOURED = 20_000;

interface BodyProps {
  readonly text: string;
  /** What it is: `Response body`. */
  readonly label: string;
}

export function Body({ text, label }: BodyProps) {
  const tokens = useMemo(() => {
    const indented = text.length > MAX_COLOURED ? null : indentJson(text);
    return indented === null ? null : tokenize(indented);
  }, [text]);
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard
    <div class="code" role="group" aria-label={label} tabIndex={0}>
      <pre>
        {tokens === null
          ? text
          : tokens.map(({ kind, text: piece }, index) =>
              kind === 'mark' ? (
                piece
              ) : (
                <span key={index} class={`j-${kind}`}>
                  {piece}
                </span>
              ),
            )}
      </pre>
      <Copy text={text} what={label.toLowerCase()} />
    </div>
  );
}
