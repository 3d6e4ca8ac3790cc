// An OpenID provider on a port of this machine: the documented calls of the code flow, tokens that are signed, and a page
// on which its only person is signed in already. What else is asked is refused, and kept in `faults`.
import { createHash, generateKeyPairSync, randomBytes, sign } from "node:crypto";
import { createServer } from "node:http";

export const CLIENT = "healthsync";
const text = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");

export class Provider {
  /** `redirect`: the one place that browsers are sent back to. */
  static async start(redirect) {
    const provider = new Provider(redirect);
    await new Promise((resolve) => provider.server.listen(0, "127.0.0.1", resolve));
    provider.issuer = `http://127.0.0.1:${provider.server.address().port}`;
    return provider;
  }

  constructor(redirect) {
    Object.assign(this, { redirect, person: "", faults: [], codes: new Map() });
    this.keys = generateKeyPairSync("ec", { namedCurve: "P-256" });
    this.server = createServer((request, response) => void this.answer(request, response));
  }

  async answer(request, response) {
    const { pathname, searchParams } = new URL(request.url, this.issuer);
    const json = (status, told) => response.writeHead(status, { "content-type": "application/json" }).end(told);
    const known = {
      "GET /.well-known/openid-configuration": () => json(200, JSON.stringify(this.metadata())),
      "GET /keys": () => json(200, JSON.stringify({ keys: [this.key()] })),
      "GET /authorize": () => response.writeHead(302, { location: this.signedIn(searchParams) }).end(),
      "GET /logout": () => response.writeHead(302, { location: this.signedOut(searchParams) }).end(),
      "POST /token": async () => json(200, JSON.stringify(this.exchanged(await body(request)))),
    }[`${request.method} ${pathname}`];
    if (known) return await known();
    if (pathname !== "/favicon.ico") this.faults.push(`${request.method} ${request.url}`);
    json(404, "{}");
  }

  metadata() {
    const at = Object.entries({ authorization_endpoint: "authorize", token_endpoint: "token", jwks_uri: "keys" });
    const places = Object.fromEntries(at.map(([name, path]) => [name, `${this.issuer}/${path}`]));
    return { issuer: this.issuer, ...places, end_session_endpoint: `${this.issuer}/logout` };
  }

  key() {
    return { ...this.keys.publicKey.export({ format: "jwk" }), kid: "k-1", use: "sig", alg: "ES256" };
  }

  signedIn(asked) {
    const code = randomBytes(16).toString("base64url");
    const wanted = {
      response_type: "code",
      client_id: CLIENT,
      redirect_uri: this.redirect,
      code_challenge_method: "S256",
    };
    for (const [name, value] of Object.entries(wanted)) this.expect(asked.get(name) === value, `authorize: ${name}`);
    this.codes.set(code, Object.fromEntries(asked));
    return `${this.redirect}?${new URLSearchParams({ code, state: asked.get("state") })}`;
  }

  signedOut(asked) {
    this.expect(asked.get("client_id") === CLIENT, "logout: client_id");
    return asked.get("post_logout_redirect_uri");
  }

  exchanged(form) {
    const asked = this.codes.get(form.get("code"));
    this.codes.delete(form.get("code"));
    const challenge = createHash("sha256").update(form.get("code_verifier")).digest("base64url");
    this.expect(asked?.code_challenge === challenge && form.get("client_id") === CLIENT, "token: not by who began");
    const iat = Math.floor(Date.now() / 1000);
    const said = { iss: this.issuer, aud: CLIENT, sub: "1", iat, exp: iat + 60, nonce: asked?.nonce };
    const signed = `${text({ alg: "ES256", kid: "k-1" })}.${text({ ...said, preferred_username: this.person })}`;
    const signature = sign("sha256", Buffer.from(signed), { key: this.keys.privateKey, dsaEncoding: "ieee-p1363" });
    return { access_token: "a", token_type: "Bearer", id_token: `${signed}.${signature.toString("base64url")}` };
  }

  expect(good, fault) {
    if (!good) this.faults.push(fault);
  }

  async stop() {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }
}

async function body(request) {
  const parts = [];
  for await (const part of request) parts.push(part);
  return new URLSearchParams(Buffer.concat(parts).toString());
}
