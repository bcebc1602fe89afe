// passport-wsfed-saml2, Auth0's client of WS-Federation, as passport drives it: JSON commands on stdin, an answer for each on stdout.
const { createInterface } = require("node:readline");
const { Strategy } = require("passport-wsfed-saml2");

let strategy;

function authenticate(request, options) {
  return new Promise((resolve) => {
    const told = Object.create(strategy);
    told.redirect = (url) => resolve({ url });
    told.success = (user) => resolve({ user });
    told.fail = (why) => resolve({ refused: String(why?.message ?? why) });
    told.error = (error) => resolve({ refused: error.message });
    told.authenticate(request, options);
  });
}

const commands = {
  begin: ({ options, wctx }) => {
    strategy = new Strategy(options, (profile, done) => done(null, profile));
    return authenticate({ method: "GET", query: {} }, { wctx });
  },
  take: ({ form, url }) => {
    const address = new URL(url);
    const headers = { host: address.host };
    const request = { method: "POST", body: form, query: {}, headers, protocol: "https", originalUrl: address.pathname };
    return authenticate({ ...request, get: (name) => headers[name.toLowerCase()] }, {});
  },
};

createInterface({ input: process.stdin }).on("line", async (line) => {
  const { command, ...given } = JSON.parse(line);
  let answer;
  try {
    answer = await commands[command](given);
  } catch (error) {
    answer = { error: String(error.stack) };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
});
