// @node-saml/node-saml and samlify as service providers: JSON commands on stdin, an answer for each on stdout.
import { createInterface } from "node:readline";
import { SAML } from "@node-saml/node-saml";
import samlify from "samlify";

samlify.setSchemaValidator({ validate: async () => "no schema" });
const { stdin, stdout } = process;

function nodeSaml(given) {
  return new SAML({
    callbackUrl: given.acs,
    entryPoint: given.sso,
    logoutUrl: given.slo,
    issuer: given.entity,
    audience: given.entity,
    idpCert: given.idpCert,
    idpIssuer: given.idpEntity,
    privateKey: given.key,
    publicCert: given.cert,
    signatureAlgorithm: "sha256",
    digestAlgorithm: "sha256",
    wantAuthnResponseSigned: false,
    wantAssertionsSigned: true,
    validateInResponseTo: "ifPresent",
    disableRequestedAuthnContext: true,
    identifierFormat: null,
  });
}

const kept = {};
const commands = {
  "node-saml": {
    begin: async (given) => {
      kept.saml = nodeSaml(given);
      return { url: await kept.saml.getAuthorizeUrlAsync("/state", undefined, {}) };
    },
    take: async ({ response }) => {
      const { profile } = await kept.saml.validatePostResponseAsync({ SAMLResponse: response });
      kept.profile = profile;
      return { nameId: profile.nameID, index: profile.sessionIndex, mail: profile.mail };
    },
    leave: async () => ({ url: await kept.saml.getLogoutUrlAsync(kept.profile, "/bye", {}) }),
    left: async ({ response }) => {
      const { loggedOut } = await kept.saml.validatePostResponseAsync({ SAMLResponse: response });
      return { loggedOut };
    },
  },
  samlify: {
    begin: async (given) => {
      kept.idp = samlify.IdentityProvider({ metadata: given.idpMetadata, wantLogoutRequestSigned: true });
      kept.sp = samlify.ServiceProvider({
        entityID: given.entity,
        authnRequestsSigned: true,
        wantAssertionsSigned: true,
        privateKey: given.key,
        signingCert: given.cert,
        requestSignatureAlgorithm: "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
        assertionConsumerService: [
          { Binding: "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST", Location: given.acs },
        ],
      });
      return { url: kept.sp.createLoginRequest(kept.idp, "redirect").context };
    },
    take: async ({ response }) => {
      const { extract } = await kept.sp.parseLoginResponse(kept.idp, "post", { body: { SAMLResponse: response } });
      kept.user = { logoutNameID: extract.nameID, sessionIndex: extract.sessionIndex.sessionIndex };
      return { nameId: extract.nameID, index: kept.user.sessionIndex, mail: extract.attributes.mail };
    },
    leave: async () => ({ url: kept.sp.createLogoutRequest(kept.idp, "redirect", kept.user).context }),
    left: async ({ response }) => {
      const { extract } = await kept.sp.parseLogoutResponse(kept.idp, "post", { body: { SAMLResponse: response } });
      return { loggedOut: extract.response.inResponseTo !== undefined };
    },
  },
};

for await (const line of createInterface({ input: stdin })) {
  const { library, command, ...given } = JSON.parse(line);
  try {
    stdout.write(`${JSON.stringify(await commands[library][command](given))}\n`);
  } catch (error) {
    stdout.write(`${JSON.stringify({ error: String(error.stack ?? error) })}\n`);
  }
}
