/** Writes JSON: an editor with colours, brackets and problems shown where they are; loaded when first needed. */
import { useEffect, useRef } from 'preact/hooks';
import type { OpenEditor } from './code-mirror.ts';
import { indentJson, type JsonProblem } from './json-text.ts';

interface JsonEditorProps {
  readonly label: string;
  readonly value: string;
  readonly onChange: (value: string) => void;
  readonly problem: JsonProblem | null;
  readonly hint?: string;
}

export function JsonEditor({ label, value, onChange, problem, hint }: JsonEditorProps) {
  const place = useRef<HTMLDivElement>(null);
  const editor = useRef<OpenEditor | null>(null);
  const change = useRef(onChange);
  change.current = onChange;

  // Dependencies: opened once, with what stands there then
  useEffect(() => {
    let closed = false;
    void import('./code-mirror.ts').then(({ openEditor }) => {
      if (closed || place.current === null) return;
      editor.current = openEditor({
        parent: place.current,
        text: value,
        label,
        onChange: (text) => change.current(text),
      });
    });
    return () => {
      closed = true;
      editor.current?.close();
    };
  }, []);

  const format = (): void => {
    const text = indentJson(value);
    if (text !== null) editor.current?.replace(text);
  };
  return (
    <div class={problem === null ? 'field' : 'field wrong'}>
      <div class="label-row">
        <span class="label" aria-hidden="true">
          {label}
        </span>
        <button type="button" class="link-button" disabled={problem !== null} onClick={format}>
          Format
        </button>
      </div>
      <div class="editor" ref={place} />
      <p class={problem === null ? 'hint' : 'error'} aria-live="polite">
        {problem === null
          ? hint
          : `Not valid JSON: ${problem.message} (line ${problem.line}, column ${problem.column})`}
      </p>
    </div>
  );
}
