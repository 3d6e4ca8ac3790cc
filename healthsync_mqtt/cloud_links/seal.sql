-- How what is there of before is sealed: see opening.py.

-- name: seal_named
UPDATE named SET said = sealed(said, user, 'named', link, marked(event, user), marked(stem, user)),
    event = marked(event, user), stem = marked(stem, user)
FROM links WHERE links.id = link

-- name: seal_discovered
UPDATE discovered SET mark = sealed(mark, user, 'discovered', link, marked(name, user)), name = marked(name, user)
FROM links WHERE links.id = link

-- name: seal_shelved
UPDATE shelved SET name = marked(name, user) FROM links WHERE links.id = link

-- name: seal_pending
UPDATE pending SET state = marked(state, '')

-- name: seal_links
UPDATE links SET account = sealed(account, user, 'account', provider), account_mark = marked(account_mark, ''),
    memory = sealed(memory, user, 'memory', provider), zone = sealed(zone, user, 'zone', provider)
