/** Conditions callers put on lists, made safe for the store. */
import { type Caller, seesProject } from '../domain/caller.ts';
import { AppError } from '../domain/errors.ts';
import type { AuditFilter } from '../store/audit.ts';
import type { EventFilter } from '../store/events.ts';
import type { InvocationFilter } from '../store/invocations.ts';
import { isUuid } from '../store/pages.ts';
import type { TriggerFilter } from '../store/triggers.ts';
import type { ActivityKind } from './activity.ts';

/** Values one condition may name. */
const MAX_VALUES = 100;

/** An id that is none matches nothing. */
export function eventFilter(caller: Caller, filter: EventFilter | null | undefined): EventFilter {
  const given = checked(filter);
  const ids = given.id == null ? {} : { id: given.id.filter(isUuid) };
  return { ...given, ...ids, projects: caller.projects };
}

export function triggerFilter(caller: Caller, filter: TriggerFilter | null | undefined): TriggerFilter {
  return { ...checked(filter), projects: caller.projects };
}

export function auditFilter(caller: Caller, filter: AuditFilter | null | undefined): AuditFilter {
  return { ...checked(filter), projects: caller.projects };
}

/** An id that is none matches nothing. */
export function invocationFilter(
  caller: Caller,
  filter: InvocationFilter | null | undefined,
): InvocationFilter {
  return { ...wellFormedIds(checked(filter)), projects: caller.projects };
}

/** The same for invocations of a parent that the caller has been allowed to see. */
export function nestedInvocationFilter(filter: InvocationFilter | null | undefined): InvocationFilter {
  return wellFormedIds(checked(filter));
}

export interface ActivityConditions {
  readonly project?: string | null | undefined;
  readonly kind?: readonly ActivityKind[] | null | undefined;
  readonly eventType?: readonly string[] | null | undefined;
  readonly triggerId?: readonly string[] | null | undefined;
}

/** Ids in the form in which changes carry them. */
export function activityFilter(filter: ActivityConditions | null | undefined): ActivityConditions {
  const given = checked(filter);
  return { ...given, triggerId: given.triggerId?.map((id) => id.toLowerCase()) };
}

/** The projects that a question about `project` (null: all of them) is about; null where that is every one there is. */
export function visibleProjects(
  caller: Caller,
  project: string | null | undefined,
): readonly string[] | null {
  if (project == null) return caller.projects;
  return seesProject(caller, project) ? [project] : [];
}

function wellFormedIds(filter: InvocationFilter): InvocationFilter {
  const { triggerId, eventId } = filter;
  if (eventId != null && !isUuid(eventId)) return { ...filter, eventId: null, triggerId: [] };
  return triggerId == null ? filter : { ...filter, triggerId: triggerId.filter(isUuid) };
}

function checked<Filter extends object>(filter: Filter | null | undefined): Filter {
  for (const [name, value] of Object.entries(filter ?? {})) {
    if (Array.isArray(value) && value.length > MAX_VALUES) {
      throw new AppError(
        'INVALID',
        `expected at most ${MAX_VALUES} values in filter.${name}, got ${value.length}`,
      );
    }
  }
  return filter ?? ({} as Filter);
}
