"""Routes by which somebody gets in: sessions, passkeys, organisations, tokens, enrolment."""
