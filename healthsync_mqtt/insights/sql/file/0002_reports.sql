-- insights.db, version 2: weekly reports are findings of a kind of their own, which are looked for by their user.

CREATE INDEX reports ON finding (user, day) WHERE kind = 'report';
