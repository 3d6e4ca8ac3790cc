// All walks in one process, one after the other: they share a service.
import "./stage.mjs";
import "./person.mjs";
import "./passkeys.mjs";
import "./organisation.mjs";
import "./others.mjs";
import "./strap.mjs";
import "./offline.mjs";
import "./no_network.mjs";
import "./first_api.mjs";
import "./data.mjs";
import "./baseline.mjs";
