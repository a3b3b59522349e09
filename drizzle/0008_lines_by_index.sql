-- The waiting lines of triggers that are at their share or at a limit of their own (store/waiting-lines.ts): who is
-- first in a trigger's line. Jobs that do not wait, nearly all, are not in it. The mark is in the job itself, so that
-- whatever replaces or removes the job takes it out of the line.
create index if not exists jobs_waiting on graphile_worker._private_jobs ((payload ->> 'waits'), run_at)
  where payload ->> 'waits' is not null;
