"""The browser app: `python app.py`, then open the address that it prints."""

from motion_transfer.web.animate import build_app

if __name__ == "__main__":
    build_app().launch(server_name="127.0.0.1")
