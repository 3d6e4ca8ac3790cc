-- A look costs a step in an index for each provider, however many links there are, and whatever of them waits for a user.
DROP INDEX links_due;
CREATE INDEX links_due ON links (provider, due_us) WHERE NOT paused AND NOT leaving AND state != 'needs_reauth';
CREATE INDEX links_hooked ON links (provider, hooked_us)
    WHERE NOT paused AND NOT leaving AND state != 'needs_reauth' AND synced_us > 0;
CREATE INDEX links_leaving ON links (id) WHERE leaving;
CREATE INDEX asked_open ON asked (id) WHERE answer = '';
