/** What `herald.announce` says, as it arrives. NOTIFY is lost while the connection is away: every (re)listen counts too. */
import type postgres from 'postgres';

/** A transaction committed that changed something; `nextDue` is the earliest due time it planned, if any. */
export type Announcement = { readonly nextDue: Date | null };

export interface Announcements {
  /** Calls `heard` for every announcement, and once after each reconnection, when some may have been missed. */
  hear(heard: (announcement: Announcement) => void): () => void;
}

/** Listens on a connection of its own of `client`, which reconnects by itself. */
export async function listenForAnnouncements(client: postgres.Sql): Promise<Announcements> {
  const hearers = new Set<(announcement: Announcement) => void>();
  const tell = (nextDue: Date | null): void => {
    for (const heard of hearers) heard({ nextDue });
  };
  await client.listen(
    'herald',
    (payload) => tell(payload === '' ? null : new Date(Number(payload))),
    () => tell(null),
  );
  return {
    hear(heard) {
      hearers.add(heard);
      return () => hearers.delete(heard);
    },
  };
}
