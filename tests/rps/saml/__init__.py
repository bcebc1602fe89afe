"""Service providers that people install and do not change: Debian's two SAML modules for Apache, and SimpleSAMLphp."""
