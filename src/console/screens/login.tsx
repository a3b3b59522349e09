/** Asks for a token: the admin token or an API key. */
import { useState } from 'preact/hooks';
import { refusal, signIn } from '../state/session.ts';
import { TextField } from '../ui/field.tsx';
import { Logo } from '../ui/icon.tsx';

export function Login() {
  const [given, setGiven] = useState('');
  const submit = (event: SubmitEvent): void => {
    event.preventDefault();
    if (given.trim() !== '') signIn(given.trim());
  };
  return (
    <main class="login">
      <form class="card" onSubmit={submit} aria-labelledby="login-title">
        <Logo size={40} />
        <h1 id="login-title">Sign in to Herald</h1>
        <p class="lead">
          Open the link that <code>npm start</code> printed, or paste a token.
        </p>
        <TextField
          label="Token"
          type="password"
          mono
          value={given}
          onChange={setGiven}
          autofocus
          error={refusal.value}
          hint={
            <>
              The admin token is in <code>.herald/admin-token</code>. API keys work too. It stays in this tab.
            </>
          }
        />
        <button type="submit" class="button primary wide">
          Sign in
        </button>
      </form>
    </main>
  );
}
