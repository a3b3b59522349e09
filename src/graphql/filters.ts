/** Conditions callers put on lists, made safe for the store. */
import type { Caller } from '../domain/caller.ts';
import { AppError } from '../domain/errors.ts';
import type { AuditFilter } from '../store/audit.ts';
import type { EventFilter } from '../store/events.ts';
import type { InvocationFilter } from '../store/invocations.ts';
import { isUuid } from '../store/pages.ts';
import type { TriggerFilter } from '../store/triggers.ts';

/** Values one condition may name. */
const MAX_VALUES = 100;

export function eventFilter(caller: Caller, filter: EventFilter | null | undefined): EventFilter {
  return { ...checked(filter), projects: caller.projects };
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
