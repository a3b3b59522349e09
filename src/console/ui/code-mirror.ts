/** CodeMirror, as much of it as JSON needs. */
import { defaultKeymap, history, historyKeymap } from '@codemirror/commands';
import { json, jsonParseLinter } from '@codemirror/lang-json';
import { bracketMatching, HighlightStyle, indentOnInput, syntaxHighlighting } from '@codemirror/language';
import { linter } from '@codemirror/lint';
import { EditorState } from '@codemirror/state';
import { EditorView, keymap, lineNumbers } from '@codemirror/view';
import { tags } from '@lezer/highlight';

export interface OpenEditor {
  replace(text: string): void;
  close(): void;
}

interface EditorOptions {
  readonly parent: HTMLElement;
  readonly text: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly onChange: (text: string) => void;
}

const COLOURS = HighlightStyle.define([
  { tag: tags.propertyName, class: 'j-key' },
  { tag: tags.string, class: 'j-string' },
  { tag: tags.number, class: 'j-number' },
  { tag: [tags.bool, tags.null], class: 'j-word' },
]);

export function openEditor({ parent, text, attributes, onChange }: EditorOptions): OpenEditor {
  const view = new EditorView({
    parent,
    state: EditorState.create({
      doc: text,
      extensions: [
        lineNumbers(),
        history(),
        indentOnInput(),
        bracketMatching(),
        json(),
        linter(jsonParseLinter(), { delay: 200 }),
        syntaxHighlighting(COLOURS),
        // Tab is left to the browser: it leads to the next field, as the keyboard's users expect.
        keymap.of([...defaultKeymap, ...historyKeymap]),
        EditorView.lineWrapping,
        EditorView.contentAttributes.of({ ...attributes, role: 'textbox', 'aria-multiline': 'true' }),
        EditorView.updateListener.of(({ docChanged, state }) => {
          if (docChanged) onChange(state.doc.toString());
        }),
      ],
    }),
  });
  return {
    replace: (next) => view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: next } }),
    close: () => view.destroy(),
  };
}
