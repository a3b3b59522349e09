/** The audit log: who changed what. */

export const AUDIT_ACTIONS = [
  'TRIGGER_CREATED',
  'TRIGGER_UPDATED',
  'TRIGGER_DELETED',
  'TRIGGER_PAUSED',
  'TRIGGER_RESUMED',
  'TRIGGER_SECRET_ROTATED',
  'TRIGGER_TESTED',
  'EVENT_CANCELLED',
  'EVENT_RESCHEDULED',
  'INVOCATION_CANCELLED',
  'INVOCATION_RETRIED',
  'BULK_OPERATION_STARTED',
  'BULK_OPERATION_CANCELLED',
  'API_KEY_CREATED',
  'API_KEY_REVOKED',
] as const;
export type AuditAction = (typeof AUDIT_ACTIONS)[number];

/** What was changed. */
export interface AuditSubject {
  readonly action: AuditAction;
  /** Project of what was changed; null where it belongs to none or to several. */
  readonly project: string | null;
  /** Id of what was changed. */
  readonly id: string;
  /** Its name, or an event's type, at that time. */
  readonly name: string;
  /** Names of the settings that changed, never their values: those may be secrets. */
  readonly changes?: readonly string[];
}
