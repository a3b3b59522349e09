/** The client of record has no types of its own; this is the part that the tests call. */
declare module 'space-api' {
  export interface QueueEvent {
    delay(seconds: number): QueueEvent;
    date(date: Date): QueueEvent;
    synchronous(): QueueEvent;
    apply(): Promise<{
      status: number;
      data: { id: string; invocations: { id: string; trigger: string }[]; error?: string; result?: unknown };
    }>;
  }
  export class API {
    constructor(project: string, url: string);
    setToken(token: string): void;
    queueEvent(type: string, payload: unknown): QueueEvent;
  }
}
