// The people of the workspace as a plain list: whom an import is for, and what they are called.
import { useQuery } from "@tanstack/react-query";
import { api, data } from "@/api/client";

export function usePeople() {
  return useQuery({ queryKey: ["admin", "people"], queryFn: async () => (await data(api.GET("/api/members", { params: { query: { limit: 200 } } }))).items });
}
