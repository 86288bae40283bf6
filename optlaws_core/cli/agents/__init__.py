"""The commands as tools for agents, by the Model Context Protocol: `optlaws mcp`.

`tools` makes a tool of each command, `allowed` says what it may read, `server` speaks the protocol.
"""
