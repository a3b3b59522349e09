/** What was sent last from this tab, by project and type: to begin with next time. */

const SAMPLE = '{\n  "id": 42,\n  "hello": "world"\n}';
const keyOf = (project: string, type: string): string => `herald-data:${project}:${type}`;

/** A sample where nothing was sent yet. */
export function lastData(project: string, type: string): string {
  return sessionStorage.getItem(keyOf(project, type)) ?? SAMPLE;
}

/** As far as the browser has room for it. */
export function rememberData(project: string, type: string, text: string): void {
  try {
    sessionStorage.setItem(keyOf(project, type), text);
  } catch {
    // The sample will do.
  }
}
