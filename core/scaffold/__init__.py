"""What a new plugin and a new configuration begin as: templates (``*.tmpl``), and what makes files of them."""
