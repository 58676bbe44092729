internal import NetBase
internal import UACore

func runLoad(_ options: LoadCommand) async throws { throw Failure(.unavailable, "there is no engine yet") }
