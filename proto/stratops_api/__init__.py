"""The wire contracts of StratOps, generated from the .proto files beside them."""
