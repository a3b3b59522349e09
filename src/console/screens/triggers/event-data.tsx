/** The data of an event that is to be sent, as it is written. */
import { JsonEditor } from '../../ui/json-editor.tsx';
import type { JsonProblem } from '../../ui/json-text.ts';

interface EventDataProps {
  readonly text: string;
  readonly onChange: (text: string) => void;
  /** Why it is not JSON. */
  readonly problem: JsonProblem | null;
  /** What the server says of it. */
  readonly error: string | undefined;
}

export function EventData({ text, onChange, problem, error }: EventDataProps) {
  return (
    <JsonEditor
      label="Event data"
      value={text}
      onChange={onChange}
      problem={error === undefined ? problem : { message: error, line: 1, column: 1 }}
      hint="JSON, sent byte for byte as it stands here"
    />
  );
}
