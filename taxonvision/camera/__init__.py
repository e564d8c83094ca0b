"""The camera page: LiteRT.js beside it, a site around a bundle, a server for it."""
