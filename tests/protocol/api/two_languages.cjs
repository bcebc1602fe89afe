// Before Auth0's Deploy CLI: of the languages in which it knows texts of prompts two are left, which makes its own schema small.
const known = require("../../../node_modules/auth0-deploy-cli/lib/types.js").languages;
known.splice(0, known.length, ...known.filter((language) => ["de", "en"].includes(language)));
