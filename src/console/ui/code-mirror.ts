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
  readonly label: string;
  readonly onChange: (text: string) => void;
}

const COLOURS = HighlightStyle.define([
  { tag: tags.propertyName, color: 'var(--j-key)' },
  { tag: tags.string, color: 'var(--j-string)' },
  { tag: tags.number, color: 'var(--j-number)' },
  { tag: [tags.bool, tags.null], color: 'var(--j-word)' },
]);

const THEME = EditorView.theme({
  '&': { minHeight: '190px', maxHeight: '46vh' },
  '&.cm-focused': { outline: 'none' },
  '.cm-scroller': { font: '12.5px/1.6 var(--mono)', overflow: 'auto' },
  '.cm-content': { padding: '8px 0', caretColor: 'var(--text)' },
  '.cm-gutters': { border: '0', background: 'transparent', color: 'var(--muted)' },
  '.cm-cursor': { borderLeftColor: 'var(--text)' },
  '.cm-selectionBackground, &.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground': {
    background: 'var(--accent-soft)',
  },
  '.cm-tooltip': {
    border: '1px solid var(--line)',
    borderRadius: '6px',
    background: 'var(--raised)',
    color: 'var(--text)',
  },
});

/**
 * Left to itself, Chromium keeps the look of what is typed over in a style attribute, which the content security policy
 * forbids; so what replaces a selection never reaches it. Where it goes is asked of the browser, as the editor hears of
 * a new selection a moment late. Other browsers do not tell a selection in a shadow root here, and need not.
 */
const TYPE_OVER = EditorView.domEventHandlers({
  beforeinput({ inputType, data }, view) {
    const { getSelection } = view.root as Partial<Document>;
    const selection = getSelection?.call(view.root) ?? null;
    if (inputType !== 'insertText' || data === null || selection === null || selection.isCollapsed)
      return false;
    const { anchorNode, anchorOffset, focusNode, focusOffset } = selection;
    if (anchorNode === null || focusNode === null) return false;
    const ends = [view.posAtDOM(anchorNode, anchorOffset), view.posAtDOM(focusNode, focusOffset)];
    const from = Math.min(...ends);
    view.dispatch({
      changes: { from, to: Math.max(...ends), insert: data },
      selection: { anchor: from + data.length },
      userEvent: 'input.type',
      scrollIntoView: true,
    });
    return true;
  },
});

/**
 * In a shadow root: there CodeMirror makes its styles as constructed sheets, which the content security policy allows,
 * where in a document it would add a style element, which it does not.
 */
export function openEditor({ parent, text, label, onChange }: EditorOptions): OpenEditor {
  const root = parent.shadowRoot ?? parent.attachShadow({ mode: 'open' });
  const view = new EditorView({
    parent: root,
    root,
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
        THEME,
        TYPE_OVER,
        // Tab is left to the browser: it leads to the next field, as the keyboard's users expect.
        keymap.of([...defaultKeymap, ...historyKeymap]),
        EditorView.lineWrapping,
        EditorView.contentAttributes.of({ 'aria-label': label, role: 'textbox', 'aria-multiline': 'true' }),
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
