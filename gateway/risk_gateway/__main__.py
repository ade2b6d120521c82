"""`python -m risk_gateway`: SIGTERM is obeyed from here on; the rest takes a while to import."""

from stratops_process import ending

if __name__ == "__main__":
    ending.at_once(lambda _: ending.leave("risk_gateway", "asked to end while starting", 0))

    from risk_gateway.process import main

    main()
