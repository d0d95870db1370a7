"""The entry point of the console script and of `python -m deepcheck`."""

import gc

_SELDOM = 20_000  # objects, between two searches for garbage


def main() -> None:
    """Run the command line; exits with the codes of `deepcheck.cli.app`."""
    # What imports make by the hundred thousand is no garbage: to search it after every 700 objects, and once more at
    # the end, takes a quarter of the time that PyTorch needs to come and go.
    gc.set_threshold(_SELDOM, *gc.get_threshold()[1:])
    try:
        from deepcheck.cli.app import app

        app()
    finally:
        gc.freeze()


if __name__ == "__main__":
    main()
