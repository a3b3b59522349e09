/** What one does with a trigger, wherever it is shown. */
import { useState } from 'preact/hooks';
import type { Trigger } from '../../api/trigger.ts';
import { may } from '../../state/session.ts';
import type { MenuItem } from '../../ui/menu.tsx';
import { DeleteDialog } from './delete-dialog.tsx';
import { FireDialog } from './fire-dialog.tsx';
import { PauseDialog } from './pause-dialog.tsx';
import { RotateDialog } from './rotate-dialog.tsx';
import { SecretDialog } from './secret-dialog.tsx';
import { TestDialog } from './test-dialog.tsx';
import { TriggerForm } from './trigger-form.tsx';

export type TriggerTask =
  | { readonly kind: 'ADD'; readonly type: string }
  | {
      readonly kind: 'EDIT' | 'FIRE' | 'TEST' | 'ROTATE' | 'PAUSE' | 'RESUME' | 'DELETE';
      readonly trigger: Trigger;
    };

export function menuOf(trigger: Trigger, onTask: (task: TriggerTask) => void): readonly MenuItem[] {
  const paused = trigger.status === 'PAUSED';
  return [
    { label: 'Edit', icon: 'pencil', run: () => onTask({ kind: 'EDIT', trigger }) },
    // With data of one's own it takes more than changing triggers does.
    ...(may('EVENTS_WRITE')
      ? [{ label: 'Test', icon: 'send', run: () => onTask({ kind: 'TEST', trigger }) } as const]
      : []),
    paused
      ? { label: 'Resume', icon: 'play', run: () => onTask({ kind: 'RESUME', trigger }) }
      : { label: 'Pause', icon: 'pause', run: () => onTask({ kind: 'PAUSE', trigger }) },
    { label: 'Rotate secret', icon: 'key', run: () => onTask({ kind: 'ROTATE', trigger }) },
    { label: 'Delete', icon: 'trash', danger: true, run: () => onTask({ kind: 'DELETE', trigger }) },
  ];
}

interface TriggerDialogsProps {
  readonly task: TriggerTask;
  readonly onClose: () => void;
  readonly onChanged: () => void;
  readonly onDeleted?: () => void;
}

export function TriggerDialogs({ task, onClose, onChanged, onDeleted }: TriggerDialogsProps) {
  const [secret, setSecret] = useState<string | null>(null);
  if (secret !== null) return <SecretDialog what="signing secret" secret={secret} onClose={onClose} />;
  const changed = (): void => {
    onChanged();
    onClose();
  };
  switch (task.kind) {
    case 'ADD':
      return (
        <TriggerForm
          trigger={null}
          type={task.type}
          onClose={onClose}
          onDone={(shown) => {
            onChanged();
            if (shown === null) onClose();
            else setSecret(shown);
          }}
        />
      );
    case 'EDIT':
      return <TriggerForm trigger={task.trigger} type="" onClose={onClose} onDone={changed} />;
    case 'FIRE': {
      const { type, project } = task.trigger;
      return (
        <FireDialog type={type} project={project} data={null} title={`Trigger ${type}`} onClose={onClose} />
      );
    }
    case 'TEST':
      return <TestDialog trigger={task.trigger} onClose={onClose} />;
    case 'ROTATE':
      return (
        <RotateDialog
          trigger={task.trigger}
          onClose={onClose}
          onDone={(shown) => {
            onChanged();
            setSecret(shown);
          }}
        />
      );
    case 'PAUSE':
    case 'RESUME':
      return <PauseDialog trigger={task.trigger} to={task.kind} onClose={onClose} onDone={changed} />;
    case 'DELETE':
      return (
        <DeleteDialog
          trigger={task.trigger}
          onClose={onClose}
          onDone={() => {
            onClose();
            (onDeleted ?? onChanged)();
          }}
        />
      );
  }
}
