internal import NetBase
internal import UACore

func runAgent(_ options: RunCommand) async throws { throw Failure(.unavailable, "there is no engine yet") }
