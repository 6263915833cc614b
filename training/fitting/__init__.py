"""How components are learnt and checked on athletes left out."""
