/** The mutations of triggers. */
import { createTrigger, deleteTrigger, updateTrigger } from '../actions/manage-trigger.ts';
import { pauseTrigger, resumeTrigger } from '../actions/pause-trigger.ts';
import type { TriggerWriter } from '../actions/write-trigger.ts';
import { seesProject } from '../domain/caller.ts';
import { fail, problem, type Result } from '../domain/errors.ts';
import { isUuid } from '../store/pages.ts';
import type { TriggerRow } from '../store/triggers.ts';
import { builder } from './builder.ts';
import type { GraphqlContext } from './context.ts';
import { visible } from './trigger.ts';
import { checkChanges, toChanges, toNewTrigger } from './trigger-input.ts';
import {
  CreateTriggerInput,
  CreateTriggerPayload,
  DeleteTriggerInput,
  DeleteTriggerPayload,
  PauseTriggerInput,
  PauseTriggerPayload,
  ResumeTriggerInput,
  ResumeTriggerPayload,
  type TriggerPayload,
  UpdateTriggerInput,
  UpdateTriggerPayload,
} from './trigger-payloads.ts';

builder.mutationFields((t) => ({
  createTrigger: t.field({
    type: CreateTriggerPayload,
    scope: 'TRIGGERS_WRITE',
    description:
      'Create a trigger. The signing secret is in the answer and nowhere else without SECRETS_READ.',
    args: { input: t.arg({ type: CreateTriggerInput, required: true, description: 'What to create.' }) },
    resolve: async (_root, { input }, context) => {
      const asked = toNewTrigger(input);
      const created = seesProject(context.caller, asked.project)
        ? await createTrigger(writer(context), asked)
        : fail(problem('project', 'NOT_FOUND', `no project ${JSON.stringify(asked.project)}`));
      return created.ok
        ? { ...created.value, problems: [] }
        : { trigger: null, signingSecret: null, problems: created.problems };
    },
  }),
  updateTrigger: t.field({
    type: UpdateTriggerPayload,
    scope: 'TRIGGERS_WRITE',
    description: 'Change a trigger. Pending invocations use the new settings from their next attempt on.',
    args: { input: t.arg({ type: UpdateTriggerInput, required: true, description: 'What to change.' }) },
    resolve: async (_root, { input }, context) => {
      const problems = checkChanges(input);
      if (problems.length > 0) return { trigger: null, problems };
      return triggerPayload(
        await changing(input.id, context, () => updateTrigger(writer(context), toChanges(input))),
      );
    },
  }),
  deleteTrigger: t.field({
    type: DeleteTriggerPayload,
    scope: 'TRIGGERS_WRITE',
    description: 'Delete a trigger. Finished invocations stay until retention removes them.',
    args: { input: t.arg({ type: DeleteTriggerInput, required: true, description: 'What to delete.' }) },
    resolve: async (_root, { input }, context) => {
      const { id, expectedVersion, pending } = input;
      const removal = { id, expectedVersion: expectedVersion ?? null, pending: pending ?? 'CANCEL' };
      const deleted = await changing(id, context, () => deleteTrigger(writer(context), removal));
      return deleted.ok
        ? { deletedTriggerId: deleted.value.id, cancelledCount: deleted.value.cancelledCount, problems: [] }
        : { deletedTriggerId: null, cancelledCount: 0, problems: deleted.problems };
    },
  }),
  pauseTrigger: t.field({
    type: PauseTriggerPayload,
    scope: 'TRIGGERS_WRITE',
    description: "Hold a trigger's deliveries.",
    args: { input: t.arg({ type: PauseTriggerInput, required: true, description: 'What to hold.' }) },
    resolve: async (_root, { input: { id } }, context) =>
      triggerPayload(await changing(id, context, () => pauseTrigger(writer(context), { id }))),
  }),
  resumeTrigger: t.field({
    type: ResumeTriggerPayload,
    scope: 'TRIGGERS_WRITE',
    description: 'Deliver again, held invocations first.',
    args: { input: t.arg({ type: ResumeTriggerInput, required: true, description: 'What to resume.' }) },
    resolve: async (_root, { input: { id } }, context) => {
      const resumed = await changing(id, context, () => resumeTrigger(writer(context), { id }));
      return resumed.ok
        ? { ...resumed.value, problems: [] }
        : { trigger: null, releasedCount: 0, problems: resumed.problems };
    },
  }),
}));

/** Changes triggers on the caller's behalf. */
export function writer({ services, caller }: GraphqlContext): TriggerWriter {
  return { ...services.triggers, actor: caller };
}

function triggerPayload(result: Result<TriggerRow>): TriggerPayload {
  return result.ok ? { trigger: result.value, problems: [] } : { trigger: null, problems: result.problems };
}

/** Runs `change`, or whatever it is, where the caller may see the trigger; an id that is none is not found either. */
export async function changing<T>(
  id: string,
  context: GraphqlContext,
  change: () => Promise<Result<T>>,
): Promise<Result<T>> {
  const all = context.caller.projects === null && isUuid(id);
  if (!all && visible(await context.loaders.trigger(id), context) === null) {
    return fail(problem('id', 'NOT_FOUND', `no trigger ${JSON.stringify(id)}`));
  }
  return change();
}
