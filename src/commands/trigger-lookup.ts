/** Triggers as people name them: by id, or by name within a project. */
import { ApiError, type Connection } from './connection.ts';

export const UUID = /^[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}$/i;

export const DEFAULT_PROJECT = 'default';

/** The id of the trigger. Errors: ApiError where there is none of that name. */
export async function triggerId(
  connection: Connection,
  nameOrId: string,
  project: string | null,
): Promise<string> {
  if (UUID.test(nameOrId)) return nameOrId;
  const { triggerByName } = await connection.ask<{ triggerByName: { id: string } | null }>(
    'query ($name: String!, $project: String!) { triggerByName(name: $name, project: $project) { id } }',
    { name: nameOrId, project: project ?? DEFAULT_PROJECT },
  );
  if (triggerByName !== null) return triggerByName.id;
  throw new ApiError(
    `There is no trigger ${JSON.stringify(nameOrId)} in the project ${project ?? DEFAULT_PROJECT}; \`triggers\` lists them.`,
  );
}
