// Two identities: the app's, and that of the containers in which steps of users run. The second may less.
param location string
param tags object
param token string

resource app 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: 'id-app-${token}'
  location: location
  tags: tags
}

resource worker 'Microsoft.ManagedIdentity/userAssignedIdentities@2024-11-30' = {
  name: 'id-worker-${token}'
  location: location
  tags: tags
}

output appId string = app.id
output appPrincipal string = app.properties.principalId
output appClientId string = app.properties.clientId
output workerId string = worker.id
output workerPrincipal string = worker.properties.principalId
output workerClientId string = worker.properties.clientId
